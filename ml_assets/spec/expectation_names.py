"""The expectations of Great Expectations 1.24 and their keywords.

The library takes seconds to import, a list nothing: what is misspelt is refused when a folder is loaded. A test
compares the list with the library.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_BOUNDS = "min_value max_value strict_min strict_max"

# Name → keywords, those that must be there with a `*`.
_TABLE = f"""
expect_column_distinct_values_to_be_in_set: column* value_set*
expect_column_distinct_values_to_contain_set: column* value_set*
expect_column_distinct_values_to_equal_set: column* value_set*
expect_column_kl_divergence_to_be_less_than: column* partition_object threshold internal_weight_holdout \
tail_weight_holdout bucketize_data min_value max_value
expect_column_max_to_be_between: column* {_BOUNDS}
expect_column_mean_to_be_between: column* {_BOUNDS}
expect_column_median_to_be_between: column* {_BOUNDS}
expect_column_min_to_be_between: column* {_BOUNDS}
expect_column_most_common_value_to_be_in_set: column* value_set* ties_okay
expect_column_pair_values_a_to_be_greater_than_b: column_A* column_B* mostly or_equal ignore_row_if
expect_column_pair_values_to_be_equal: column_A* column_B* mostly ignore_row_if
expect_column_pair_values_to_be_in_set: column_A* column_B* mostly value_pairs_set* ignore_row_if
expect_column_proportion_of_non_null_values_to_be_between: column* {_BOUNDS}
expect_column_proportion_of_unique_values_to_be_between: column* {_BOUNDS}
expect_column_quantile_values_to_be_between: column* quantile_ranges* allow_relative_error
expect_column_stdev_to_be_between: column* {_BOUNDS}
expect_column_sum_to_be_between: column* {_BOUNDS}
expect_column_to_exist: column* column_index
expect_column_type_to_be: column* type_*
expect_column_unique_value_count_to_be_between: column* {_BOUNDS}
expect_column_value_lengths_to_be_between: column* mostly {_BOUNDS}
expect_column_value_lengths_to_equal: column* mostly value*
expect_column_value_z_scores_to_be_less_than: column* mostly threshold* double_sided*
expect_column_values_to_be_between: column* mostly {_BOUNDS}
expect_column_values_to_be_dateutil_parseable: column* mostly
expect_column_values_to_be_decreasing: column* mostly strictly
expect_column_values_to_be_in_set: column* mostly value_set*
expect_column_values_to_be_in_type_list: column* mostly type_list
expect_column_values_to_be_increasing: column* mostly strictly
expect_column_values_to_be_json_parseable: column* mostly
expect_column_values_to_be_null: column* mostly
expect_column_values_to_be_of_type: column* mostly type_*
expect_column_values_to_be_unique: column* mostly
expect_column_values_to_match_json_schema: column* mostly json_schema*
expect_column_values_to_match_regex: column* mostly regex
expect_column_values_to_match_regex_list: column* mostly regex_list* match_on
expect_column_values_to_match_strftime_format: column* mostly strftime_format*
expect_column_values_to_not_be_in_set: column* mostly value_set*
expect_column_values_to_not_be_null: column* mostly
expect_column_values_to_not_be_outliers: column* mostly method multiplier
expect_column_values_to_not_match_regex: column* mostly regex*
expect_column_values_to_not_match_regex_list: column* mostly regex_list*
expect_compound_columns_to_be_unique: column_list* mostly ignore_row_if
expect_multicolumn_sum_to_equal: column_list* mostly ignore_row_if sum_total*
expect_multicolumn_values_to_be_equal: column_list* mostly ignore_row_if
expect_select_column_values_to_be_unique_within_record: column_list* mostly ignore_row_if
expect_table_column_count_to_be_between: min_value max_value
expect_table_column_count_to_equal: value*
expect_table_columns_to_match_ordered_list: column_list
expect_table_columns_to_match_set: column_set exact_match
expect_table_row_count_to_be_between: {_BOUNDS}
expect_table_row_count_to_equal: value*
"""

KEYWORDS = {name: words.split() for name, _, words in (line.partition(": ") for line in _TABLE.strip().splitlines())}

COMMON = frozenset({"row_condition", "condition_parser", "meta", "notes", "description", "result_format"})
"""Keywords of many expectations, or of all."""

ELSEWHERE = frozenset({
    "expect_column_values_to_match_like_pattern", "expect_column_values_to_match_like_pattern_list",
    "expect_column_values_to_not_match_like_pattern", "expect_column_values_to_not_match_like_pattern_list",
    "expect_query_results_to_match_comparison", "expect_table_row_count_to_equal_other_table",
})  # fmt: skip
"""Those that Great Expectations asks of a database only."""


def problem(name: str, given: Iterable[str]) -> str | None:
    """What is wrong with an expectation and its keywords, and what would be right; None where nothing is."""
    if name in ELSEWHERE:
        return f"{name} asks a database, and a source is files: use another expectation"
    if name not in KEYWORDS:
        near = get_close_matches(name, KEYWORDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "https://greatexpectations.io/expectations lists them"
        return f"Great Expectations has no {name}: {hint}"
    keywords = list(given)
    parameters = [word.removesuffix("*") for word in KEYWORDS[name]]
    for keyword in keywords:
        if keyword not in parameters and keyword not in COMMON:
            near = get_close_matches(keyword, parameters, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(parameters)}"
            return f"{name} has no keyword {keyword!r}: {hint}"
    missing = [word[:-1] for word in KEYWORDS[name] if word.endswith("*") and word[:-1] not in keywords]
    return f"{name} lacks {', '.join(missing)}" if missing else None


def is_of_rows(name: str) -> bool:
    """Whether it names the rows that break it, so that they can go to the quarantine."""
    rows = ("expect_column_value", "expect_column_pair_", "expect_compound_", "expect_multicolumn_", "expect_select_")
    return name.startswith(rows) and not name.endswith(("of_type", "type_list"))
