"""q(z|x) of a batch's unlabelled images, whichever method they come from."""

import tensorflow as tf

from tfssvae.batch import Batch
from tfssvae.checks import InputError
from tfssvae.core import SemiSupervisedVAE, Terms


def code_of_unlabelled(
    model: SemiSupervisedVAE, batch: Batch, terms: Terms
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and log-variance of q(z|x), both (U, d) float32, without gradient.

    Several codes (z1, z2, ...) are put side by side: the KL of independent vectors is a sum.

    Raises:
        InputError: the method has no code z.
    """
    codes = [value for name, value in terms.latents.items() if name.startswith("z")]
    if not codes:
        raise InputError(f"{type(model).__name__} has no code z to compare images by")
    mean = tf.concat([q_z.mean() for q_z in codes], axis=-1)
    variance = tf.concat([q_z.variance() for q_z in codes], axis=-1)
    unlabelled = slice(batch.num_labelled, None)
    return tf.stop_gradient(mean[unlabelled]), tf.stop_gradient(tf.math.log(variance[unlabelled]))
