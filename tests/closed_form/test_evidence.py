"""Every method's bounds against the evidence, enumerated over y and by quadrature over z."""

import numpy as np
import pytest
import tensorflow as tf

import tfssvae
from tfssvae import layers
from tfssvae.batch import make_batch
from tfssvae.noise import Noise

K, PIXELS = 3, 4
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.2]], "float32")
LABELS = np.array([2, 0])
PRIOR = [0.5, 0.3, 0.2]
REPEATS = 4000
GRID = np.linspace(-8, 8, 321, dtype="float32")
TINY = {
    "vae": {"latent_dim": 1, "hidden": (8,)},
    "m1": {"latent_dim": 1, "hidden": (8,)},
    "m2": {"latent_dim": 1, "hidden": (8,)},
    "m1m2": {"latent_dim": 1, "style_dim": 1, "hidden": (8,), "style_hidden": (8,)},
    "adgm": {"latent_dim": 1, "auxiliary_dim": 1, "hidden": (8,)},
    "sdgm": {"latent_dim": 1, "auxiliary_dim": 1, "hidden": (8,)},
    "lvae": {"latent_dims": (1, 1), "hidden": (8, 8)},
    "exon": {
        "hidden": (8,),
        "likelihood": "bernoulli",
        "prior": layers.GaussianMixturePrior([[-1.0], [0.5], [2.0]], [[0.5], [1.0], [0.3]]),
    },
    # A relaxed class gives no bound, a smoothed label one on log p(x).
    "shot_vae": {
        "latent_dim": 1,
        "hidden": (8,),
        "sampling": "exact",
        "epsilon": 0.0,
        "regularizers": [],
    },
    "parted_vae": {"latent_dim": 1, "style_dim": 1, "hidden": (8,), "sampling": "exact"},
    "untapped": {"latent_dim": 1, "hidden": (8,), "sampling": "exact"},
    "cagem": {"latent_dims": (1, 1), "hidden": (8,)},
}
"""Arguments that leave two latent dimensions at most, over which one can integrate."""

CLASS_IS_OUTSIDE = {"vae", "m1", "exon", "parted_vae", "cagem"}
"""Methods whose bound is on log p(x) alone, whatever the class."""


def tiny(name, spread=0.4, **arguments):
    """Return a method with weights far from their initial values, so that no bound is tight."""
    model = tfssvae.METHODS[name]((PIXELS,), K, class_prior=PRIOR, **TINY[name], **arguments)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * spread)
    # A q wider than p(.|x), or importance weights would have no variance.
    if name in ("adgm", "sdgm"):
        for head in (model.posterior_head_a, model.posterior_head_z):
            head.dense.bias.assign_add([0.0, 1.0])
    if name in ("shot_vae", "untapped"):
        model.head_z.dense.bias.assign_add([0.0, 1.0])
    return model


def normal_log_prob(z):
    return -0.5 * (np.log(2 * np.pi) + np.asarray(z, "float64") ** 2)


def pixel_log_prob(x, logits):
    """log p(x|...) for each of the rows of logits, (rows,)."""
    logits = np.asarray(logits, "float64")
    return (x * logits - np.logaddexp(0, logits)).sum(-1)


def integral(log_values, *axes):
    """log of the integral of exp(log_values) over a grid."""
    values = np.exp(log_values.reshape([len(GRID)] * len(axes)))
    for _ in axes:
        values = np.trapezoid(values, GRID, axis=-1)
    return np.log(values)


def log_joint(name, model, x):
    """log p(x, y), (K,), of one image."""
    one, two = (values.reshape(-1, 1) for values in np.meshgrid(GRID, GRID, indexing="ij"))
    values = np.zeros(K)
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (len(one), 1))
        if name in ("vae", "m1"):
            line = GRID[:, None]
            log_p = pixel_log_prob(x, model.decode(line)) + normal_log_prob(GRID)
            values[k] = integral(log_p, "z")
        elif name == "exon":  # the class says where z lies
            line = GRID[:, None]
            log_p_z = model.prior.component(k).log_prob(line).numpy()
            values[k] = integral(pixel_log_prob(x, model.decode(line)) + log_p_z, "z")
        elif name in ("m2", "shot_vae", "adgm"):  # of ADGM, p(a|x, y, z) integrates to 1
            line, y = GRID[:, None], y[: len(GRID)]
            logits = model.decode(None, y, line) if name == "adgm" else model.decode(line, y)
            values[k] = integral(pixel_log_prob(x, logits) + normal_log_prob(GRID), "z")
        elif name == "untapped":  # z is uniform where its preimage is logistic
            logits = model.decode(model.flow.forward(GRID[:, None]), y[: len(GRID)])
            log_p_z = -np.logaddexp(0, GRID) - np.logaddexp(0, -GRID)
            values[k] = integral(pixel_log_prob(x, logits) + log_p_z, "z")
        else:
            if name == "sdgm":  # z, then a
                p_two = model.auxiliary(None, y, one)
                logits = model.decode(two, y, one)
            elif name == "parted_vae":  # u, of which the second of the grid is, and z
                p_two = layers.gaussian(model.prior.mean[k], model.prior.log_var[k])
                logits = model.decode(two, one)
            elif name == "m1m2":  # z2, then z1
                p_two = model.code(y, one)
                logits = model.decode(two)
            elif name == "cagem":  # z2, then z1
                p_two = model.prior_z1(y, one)
                logits = model.decode(y, two)
            else:  # z_2, then z_1
                p_two = layers.gaussian(*model._prior_parameters(0, one, y))
                logits = model.decode(two, y)
            log_p = pixel_log_prob(x, logits) + normal_log_prob(one[:, 0])
            if name == "cagem":
                log_p += tf.nn.log_softmax(model.class_logits(one)).numpy()[:, k]
            values[k] = integral(log_p + p_two.log_prob(two).numpy(), "one", "two")
    return values if name == "cagem" else values + np.log(PRIOR)


def bounds(model, x=X, labels=LABELS, repeats=REPEATS):
    """Mean labelled and unlabelled bound over the noise, and their standard errors."""
    rows = np.repeat(x, repeats, axis=0)
    data = ({"labelled": rows, "unlabelled": rows}, np.repeat(labels, repeats))
    batch = make_batch(data, (PIXELS,), K, Noise(0, 0))
    found = model._objective(batch, training=False).monitors
    result = {}
    for part in ("labelled", "unlabelled"):
        if f"{part}_bound" in found:
            total = found[f"{part}_bound"].numpy().reshape(len(x), repeats)
            result[part] = (total.mean(1), total.std(1) / np.sqrt(repeats))
    return result


@pytest.fixture(scope="module", params=sorted(TINY))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return tiny(name)


@pytest.fixture(scope="module")
def joint(name, model):
    return np.stack([log_joint(name, model, x) for x in X])


def test_every_method_is_here():
    assert set(TINY) == set(tfssvae.METHODS)


def test_the_unlabelled_bound_is_below_the_evidence(model, joint):
    evidence = np.logaddexp.reduce(joint, axis=1)
    bound, error = bounds(model)["unlabelled"]
    assert (bound < evidence + 4 * error).all()
    assert (bound < evidence - 0.05).any(), "no bound is loose"


def test_the_labelled_bound_is_below_the_joint(name, model, joint):
    if name in CLASS_IS_OUTSIDE:
        assert "labelled" not in bounds(model)
        return
    bound, error = bounds(model)["labelled"]
    assert (bound < joint[[0, 1], LABELS] + 4 * error).all()


def test_importance_samples_reach_the_evidence(model, joint):
    evidence = np.logaddexp.reduce(joint, axis=1)
    estimate = model.log_likelihood(X, num_samples=200_000, batch_size=2)
    np.testing.assert_allclose(estimate, evidence, atol=0.03)


def test_one_importance_sample_is_the_unlabelled_bound_on_average(name, model):
    bound, error = bounds(model)["unlabelled"]
    rows = np.repeat(X, REPEATS, axis=0)
    estimate = model.log_likelihood(rows, num_samples=1).reshape(2, REPEATS)
    spread = np.hypot(error, estimate.std(1) / np.sqrt(REPEATS))
    assert (np.abs(estimate.mean(1) - bound) < 4 * spread).all()


def zero(*variables):
    for variable in variables:
        variable.assign(tf.zeros_like(variable))


def first_kernel(network, index=0):
    """The kernel of a network's first layer for one of its inputs."""
    return network.merge.kernels[index] if hasattr(network, "merge") else network.layers[0].kernel


@pytest.mark.parametrize(
    "name",
    ["vae", "m2", "m1m2", "adgm", "sdgm", "lvae", "shot_vae", "exon", "parted_vae", "cagem"],
)
def test_the_bound_is_the_evidence_where_the_posterior_is_exact(name):
    model = tiny(name, **({"batch_norm": False} if name in ("lvae", "cagem") else {}))
    # x depends on the class at most, and every posterior of a latent vector is its prior.
    for part in model._flatten_layers():
        if isinstance(part, layers.GaussianHead):
            zero(*part.trainable_variables)
    decoder_inputs = {"m2": [0], "adgm": [1], "sdgm": [0, 2]}.get(name, [0])
    for index in decoder_inputs:
        zero(first_kernel(model.decoder, index))
    if name == "lvae":
        # What the image says of z_1 gets no precision: the merge is the prior.
        model.heads_q[0].dense.bias.assign([0.0, 500.0])
    if name == "exon":
        bound = 12.0  # of log-variances, by tanh (see `layers.GaussianHead`)
        log_var = bound * np.arctanh(model.prior.log_var / bound)
        model.head_z.dense.bias.assign(np.ravel([model.prior.mean, log_var]))
    if name == "cagem":
        zero(model.top_classifier.layers[-1].kernel)  # the class says nothing of z2
    if name == "parted_vae":
        zero(model.prior._mean)
        model.prior._spread.assign(tf.fill((K, 1), np.arctanh(0.5)))  # log-variances of 0
    joint = log_joint(name, model, X[0])
    if name != "vae":
        if name in ("shot_vae", "parted_vae"):
            output = model.head_y
        else:
            output = getattr(model.classifier, "body", model.classifier).layers[-1]
        zero(output.kernel)
        output.bias.assign(joint)
    found = bounds(model, X[:1], np.array([1]), repeats=200)
    tight = {"rtol": 1e-4}
    np.testing.assert_allclose(found["unlabelled"][0], np.logaddexp.reduce(joint), **tight)
    assert found["unlabelled"][1] < 1e-3
    if "labelled" in found:
        np.testing.assert_allclose(found["labelled"][0], joint[1], **tight)


def test_an_importance_weighted_autoencoder_trains_the_tighter_bound():
    model = tiny("vae", importance_samples=50)
    evidence = np.logaddexp.reduce(np.stack([log_joint("vae", model, x) for x in X]), axis=1)
    plain, error = bounds(tiny("vae"))["unlabelled"]
    weighted, _ = bounds(model, repeats=500)["unlabelled"]
    assert (weighted > plain + 4 * error).all()
    estimate = model.log_likelihood(np.repeat(X, 500, axis=0), num_samples=50)
    np.testing.assert_allclose(weighted, estimate.reshape(2, 500).mean(1), atol=0.05)
    assert (weighted < evidence + 0.05).all()


def test_adgm_with_an_ignored_auxiliary_variable_is_m2():
    adgm, m2 = tiny("adgm"), tiny("m2")
    for head in (adgm.posterior_head_a, adgm.head_a):
        zero(*head.trainable_variables)  # q(a|x) = p(a|x, y, z) = N(0, 1)
    zero(first_kernel(adgm.encoder, 1), first_kernel(adgm.classifier, 1))
    for ours, theirs in (
        (first_kernel(adgm.encoder, 0), first_kernel(m2.encoder, 0)),
        (first_kernel(adgm.encoder, 2), first_kernel(m2.encoder, 1)),
        (adgm.encoder.merge.bias, m2.encoder.merge.bias),
        (first_kernel(adgm.decoder, 0), first_kernel(m2.decoder, 1)),
        (first_kernel(adgm.decoder, 1), first_kernel(m2.decoder, 0)),
        (adgm.decoder.merge.bias, m2.decoder.merge.bias),
        (first_kernel(adgm.classifier), m2.classifier.layers[0].kernel),
        (adgm.classifier.merge.bias, m2.classifier.layers[0].bias),
        *zip(
            [
                *adgm.decoder.body.weights,
                *adgm.classifier.body.weights,
                *adgm.posterior_head_z.weights,
            ],
            [*m2.decoder.body.weights, *m2.classifier.layers[-1].weights, *m2.head_z.weights],
            strict=True,
        ),
    ):
        ours.assign(theirs)
    for part in ("labelled", "unlabelled"):
        (ours, error), (theirs, other_error) = bounds(adgm)[part], bounds(m2)[part]
        assert (np.abs(ours - theirs) < 4 * np.hypot(error, other_error)).all()
    np.testing.assert_allclose(adgm.predict(X, verbose=0), m2.predict(X, verbose=0), rtol=1e-4)


def test_the_merge_of_a_ladder_is_the_product_of_gaussians():
    rng = np.random.default_rng(0)
    (mean_a, mean_b), (log_var_a, log_var_b) = rng.normal(size=(2, 5)), rng.normal(size=(2, 5)) * 3
    mean, log_var = layers.precision_weighted_merge(mean_a, log_var_a, mean_b, log_var_b)
    z = np.linspace(-60, 60, 400_001)
    for i in range(5):
        log_product = -0.5 * (z - mean_a[i]) ** 2 / np.exp(log_var_a[i])
        log_product -= 0.5 * (z - mean_b[i]) ** 2 / np.exp(log_var_b[i])
        density = np.exp(log_product - log_product.max())
        density /= np.trapezoid(density, z)
        expected = np.trapezoid(z * density, z)
        np.testing.assert_allclose(mean[i], expected, rtol=1e-4, atol=1e-5)
        variance = np.trapezoid((z - expected) ** 2 * density, z)
        np.testing.assert_allclose(np.exp(log_var[i]), variance, rtol=1e-3)


def test_the_merge_of_extreme_precisions_is_finite():
    mean, log_var = layers.precision_weighted_merge(
        np.array([1.0, 1.0]), np.array([-300.0, 300.0]), np.array([5.0, 5.0]), np.zeros(2)
    )
    np.testing.assert_allclose(mean, [1.0, 5.0])
    np.testing.assert_allclose(log_var, [-300.0, 0.0], atol=1e-6)


def test_a_ladder_of_one_level_and_of_four_is_a_bound():
    for sizes in ((2,), (4, 3, 2, 2)):
        model = tfssvae.METHODS["lvae"]((PIXELS,), K, latent_dims=sizes, hidden=(6,) * len(sizes))
        assert {f"unlabelled_kl_z{n + 1}" for n in range(len(sizes))} < set(model.TERMS)
        assert f"unlabelled_kl_z{len(sizes) + 1}" not in model.TERMS
        few, many = (model.log_likelihood(X, num_samples=n).mean() for n in (10, 10_000))
        assert few < many
    with pytest.raises(tfssvae.InputError, match="each level"):
        tfssvae.METHODS["lvae"]((PIXELS,), K, latent_dims=(4, 2), hidden=(8,))
