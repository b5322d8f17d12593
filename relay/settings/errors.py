"""What goes wrong with settings: always one sentence that an operator can act on."""


class SettingsError(Exception):
    """A setting, a configuration file or an address file cannot be used; the message names key or file.

    The message is one sentence without secrets, fit to be printed as it is.
    """
