"""The published experiments: a file per paper, and one line in TABLES per table.

`tfssvae reproduce mier/table1 --data fashion_mnist --epochs 30 --seeds 0 1 2` runs one.
"""

from tfssvae.registry import Registry

TABLES = Registry(
    "TABLES",
    {
        "mier/table1": "tfssvae.recipes.mier:TABLE_1",
        "mier/table2": "tfssvae.recipes.mier:TABLE_2",
        "mier/table3": "tfssvae.recipes.mier:TABLE_3",
    },
)
