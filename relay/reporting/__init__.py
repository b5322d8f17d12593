"""Whom a relay reports to beside its log: Sentry and OpenTelemetry, each an extra that needs packages."""
