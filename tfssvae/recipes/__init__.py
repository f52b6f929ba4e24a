"""The published experiments: a file per paper, and one line in TABLES per table.

`tfssvae reproduce mier/table1 --data fashion_mnist --epochs 30 --seeds 0 1 2` runs one.
"""

from tfssvae.registry import Registry

TABLES = Registry(
    "TABLES",
    {
        "cagem/table1": "tfssvae.recipes.cagem:TABLE_1",
        "cagem/table2": "tfssvae.recipes.cagem:TABLE_2",
        "cagem/table3": "tfssvae.recipes.cagem:TABLE_3",
        "cagem/figure4": "tfssvae.recipes.cagem:FIGURE_4",
        "mier/table1": "tfssvae.recipes.mier:TABLE_1",
        "mier/table2": "tfssvae.recipes.mier:TABLE_2",
        "mier/table3": "tfssvae.recipes.mier:TABLE_3",
        "exon/table1": "tfssvae.recipes.exon:TABLE_1",
        "exon/table2": "tfssvae.recipes.exon:TABLE_2",
        "exon/table3": "tfssvae.recipes.exon:TABLE_3",
        "exon/table6": "tfssvae.recipes.exon:TABLE_6",
        "exon/figure3": "tfssvae.recipes.exon:FIGURE_3",
        "exon/figure6": "tfssvae.recipes.exon:FIGURE_6",
        "shot_vae/table1-cifar10": "tfssvae.recipes.shot_vae:TABLE_1_CIFAR10",
        "shot_vae/table1-cifar100": "tfssvae.recipes.shot_vae:TABLE_1_CIFAR100",
        "shot_vae/table3-mnist": "tfssvae.recipes.shot_vae:TABLE_3_MNIST",
        "shot_vae/table3-svhn": "tfssvae.recipes.shot_vae:TABLE_3_SVHN",
        "shot_vae/table4-cifar10": "tfssvae.recipes.shot_vae:TABLE_4_CIFAR10",
        "shot_vae/table4-cifar100": "tfssvae.recipes.shot_vae:TABLE_4_CIFAR100",
        "shot_vae/table5-cifar10": "tfssvae.recipes.shot_vae:TABLE_5_CIFAR10",
        "shot_vae/table5-cifar100": "tfssvae.recipes.shot_vae:TABLE_5_CIFAR100",
        "shot_vae/figure1-cifar10": "tfssvae.recipes.shot_vae:FIGURE_1_CIFAR10",
        "shot_vae/figure1-mnist": "tfssvae.recipes.shot_vae:FIGURE_1_MNIST",
        "shot_vae/figure3-cifar10": "tfssvae.recipes.shot_vae:FIGURE_3_CIFAR10",
        "shot_vae/figure3-cifar100": "tfssvae.recipes.shot_vae:FIGURE_3_CIFAR100",
        "untapped/section3": "tfssvae.recipes.untapped:SECTION_3",
    },
)
