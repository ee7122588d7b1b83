"""The declaration of sample data: the function that fills the drop zone of a model."""

from pydantic import Field

from ml_assets.spec.base import Declaration
from ml_assets.spec.function_path import FunctionPath


class SampleSpec(Declaration):
    """Sample data of a model, for a first run without files of one's own."""

    fill: FunctionPath = Field(
        description="The function that fills the drop zone, as `package.module:function`; its parameters are the "
        "options of `ml-assets data <function>`, its docstring their help"
    )
    first_run: bool = Field(
        True, description="Whether `ml-assets run` calls it where there are no files; false: only where it is asked for"
    )
    best_roc_auc: FunctionPath | None = Field(
        None, description="The function that knows the best possible ROC AUC of simulated files; default: nobody does"
    )

    @property
    def command(self) -> str:
        """The subcommand of `ml-assets data` that fills the drop zone: the function's name.

        >>> SampleSpec(fill="shop.sample:online_retail").command
        'online-retail'
        """
        return self.fill.rpartition(":")[2].strip("_").replace("_", "-")
