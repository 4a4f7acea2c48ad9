"""The errors that this package raises on purpose. Each message names the value, the bound and the remedy."""


class MutualNetError(Exception):
    """Base of every error below: ``except MutualNetError`` catches what is the user's to mend and nothing else."""


class ConfigError(MutualNetError, ValueError):
    """A config has an unknown key, a value of the wrong type, or values that contradict each other."""


class ConfigurationError(MutualNetError, ValueError):
    """A configuration cannot be parsed, or lies outside the space that the network was trained for."""


class NotCalibratedError(MutualNetError, RuntimeError):
    """Evaluation at a configuration whose BatchNorm statistics were never computed."""


class BudgetError(MutualNetError, ValueError):
    """No entry of a query table fits the budget."""


class QueryTableError(MutualNetError, ValueError):
    """A query table is malformed, or belongs to another checkpoint."""


class LatencyError(MutualNetError, ValueError):
    """A latency cannot be measured as asked, for example because there is nothing to run."""


class WeightsError(MutualNetError, RuntimeError):
    """A weight file is unreadable, unsafe, or does not fit the network."""


class CheckpointError(MutualNetError, RuntimeError):
    """A checkpoint is unreadable, or belongs to another space or network."""


class DeploymentError(MutualNetError, RuntimeError):
    """A deployed network's file is damaged or of another kind, or a backend cannot run it as asked."""


class TrainingError(MutualNetError, RuntimeError):
    """Training cannot go on, for example because a loss is not finite."""


class ResourceError(MutualNetError, RuntimeError):
    """The machine ran out of memory or disk, or ended a process of the run; what was written before is whole."""


class DataError(MutualNetError, ValueError):
    """A list of videos is missing, empty or malformed; the message names file and line."""


class VideoError(MutualNetError, RuntimeError):
    """One video cannot be read.

    Attributes:
        path: the file as the user named it.
        reason: one line that says what is wrong with it.
    """

    def __init__(self, path: str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple:
        return (type(self), (self.path, self.reason))
