"""The command serve: requests answered from the database."""

import argparse

from relay import app
from relay.commands.common import FAULTS, logger, read_settings, tell_fault, tell_not_served
from relay.serving.generation import Plan
from relay.serving.parent import Parent


def serve(options: argparse.Namespace) -> int:
    """Answer requests from the database, until SIGTERM or SIGINT; SIGHUP has the settings read anew."""

    def make_plan() -> Plan:
        settings = read_settings(options)
        if not options.with_parent:
            tell_not_served(settings)
        return app.plan_api(settings)

    def say_ready(plan: Plan) -> None:
        logger.info("serving http://%s/api/v1", plan.rest.bind)

    return Parent(make_plan, faults=FAULTS, tell_fault=tell_fault, when_ready=say_ready).run()
