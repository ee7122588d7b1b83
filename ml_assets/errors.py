"""The exception tree. Each message names the thing, the value and the remedy."""


class MlAssetsError(Exception):
    """What a user can put right. The command line prints it as one line and exits with 2."""


class DeclarationError(MlAssetsError):
    """A `defs.yaml` or `.sql` file says something that cannot be run."""


class DataError(MlAssetsError):
    """Data is missing, unreadable, or not what the declaration promises."""


class LakeError(MlAssetsError):
    """A table cannot be read or written."""


class TrainingError(MlAssetsError):
    """A model cannot be trained, exported or evaluated from what is there."""


class RegistryError(MlAssetsError):
    """The model registry does not hold what was asked for."""


class OnlineStoreError(MlAssetsError):
    """The online store does not answer, or holds what cannot be read."""
