"""The declaration of sample data: the function that fills the drop zone of a model."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from ml_assets.spec.base import Declaration

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def _function_path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} does not name a function: write package.module:function")
    return text


FunctionPath = Annotated[str, AfterValidator(_function_path)]
"""`package.module:function`; it is imported when a command needs it, never while the definitions load."""


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
