"""SHOT-VAE's equations against numpy in float64, tfp, or a numerical optimiser."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import tfssvae
from tfssvae import layers, losses
from tfssvae.batch import make_batch
from tfssvae.models.exact import code_of_images
from tfssvae.noise import Noise
from tfssvae.regularizers import OptimalInterpolation
from tfssvae.regularizers.mixing import mix_rows, mixing_weights, neighbours
from tfssvae.training import linear_ramp

RNG = np.random.default_rng(0)
K, PIXELS, LABELS = 3, 4, np.array([2, 0])
X = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.2], [0.5, 0.5, 1.0, 0.0]], "float32")


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def kl(p, q):
    return (p * (np.log(p) - np.log(q))).sum(-1)


# Equation 9 ------------------------------------------------------------------------------------


def test_smooth_labels_are_equation_9():
    found = losses.smooth_labels([0, 2], 4, 0.03)
    expected = [[0.97, 0.01, 0.01, 0.01], [0.01, 0.01, 0.97, 0.01]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(losses.smooth_labels([1], 3, 0.0), [[0.0, 1.0, 0.0]])


# Equations 13 to 16 ----------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_the_mixed_prediction_minimises_proposition_1(lam):
    pi_0, pi_1 = softmax(RNG.normal(size=(2, 5)))
    best = scipy.optimize.minimize(
        lambda v: (1 - lam) * kl(pi_0, softmax(v)) + lam * kl(pi_1, softmax(v)), np.zeros(5)
    )
    mixed = (1 - lam) * pi_0 + lam * pi_1
    np.testing.assert_allclose(softmax(best.x), mixed, atol=1e-4)
    zero = losses.optimal_interpolation(np.log(mixed)[None], pi_0[None], pi_1[None], lam)
    np.testing.assert_allclose(zero, [0.0], atol=1e-6)


def test_optimal_interpolation_equals_numpy_for_one_lambda_or_many():
    logits = RNG.normal(size=(4, 5)) * 3
    probs_0, probs_1 = softmax(RNG.normal(size=(2, 4, 5)))
    for lam in (0.25, np.array([0.1, 0.5, 0.9, 0.0])):
        column = np.reshape(lam, (-1, 1))
        expected = kl(softmax(logits), (1 - column) * probs_0 + column * probs_1)
        found = losses.optimal_interpolation(logits, probs_0, probs_1, lam)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_no_gradient_flows_into_the_target():
    logits, probs = tf.Variable(RNG.normal(size=(2, 3))), tf.Variable(softmax(np.eye(3)[:2]))
    with tf.GradientTape() as tape:
        value = losses.optimal_interpolation(logits, probs, probs[::-1], 0.3)
    gradient = tape.gradient(value, [logits, probs])
    assert np.abs(gradient[0]).max() > 0
    assert gradient[1] is None


def test_a_target_without_mass_is_finite():
    value = losses.optimal_interpolation([[5.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]], 0.5)
    assert np.isfinite(value).all()


@pytest.mark.parametrize("concentration", [0.1, 1.0, 2.0])
def test_lambda_has_the_moments_of_its_beta_distribution(concentration):
    lam = mixing_weights(Noise(0, 0), 20_000, concentration, per_example=True).numpy()
    variance = 0.25 / (2 * concentration + 1)
    assert lam.min() >= 0
    assert lam.max() <= 1
    # Five standard errors: fails by chance once in two million.
    assert abs(lam.mean() - 0.5) < 5 * np.sqrt(variance / len(lam))
    assert lam.var() == pytest.approx(variance, rel=0.05)
    assert mixing_weights(Noise(0, 0), 20_000, concentration, per_example=False).shape == ()


def test_rows_are_mixed_and_partners_are_others():
    x_0, x_1 = RNG.normal(size=(2, 3, 2, 2, 1)).astype("float32")
    lam = np.array([0.0, 0.25, 1.0], "float32")
    found = mix_rows(tf.constant(x_0), tf.constant(x_1), tf.constant(lam))
    np.testing.assert_allclose(found[1], 0.75 * x_0[1] + 0.25 * x_1[1], rtol=1e-5)
    np.testing.assert_array_equal(found[0], x_0[0])
    np.testing.assert_array_equal(found[2], x_1[2])
    np.testing.assert_array_equal(neighbours(tf.range(4)), [1, 2, 3, 0])


def model_of(name="shot_vae", **arguments):
    defaults = {"latent_dim": 2, "hidden": (6,), "regularizers": []}
    model = tfssvae.METHODS[name]((PIXELS,), K, **{**defaults, **arguments})
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.5)
    return model


def batch_of(model, seed=0):
    return make_batch(({"labelled": X[:2], "unlabelled": X}, LABELS), (PIXELS,), K, Noise(seed, 0))


@pytest.mark.parametrize("match", ["optimal", "random"])
def test_the_regularizer_is_equation_15_on_the_mixed_images(match):
    model = model_of()
    regularizer = OptimalInterpolation(match=match)
    batch = batch_of(model)
    terms = model.terms(batch, training=False)
    draws = Noise(7, 0)
    found = regularizer.terms(model, batch._replace(noise=draws), terms, training=True)
    lam = Noise(7, 0).uniform((3,)).numpy()
    q_z, logits = model.infer(X)
    partner = {
        "optimal": losses.optimal_match(q_z.mean(), 2 * np.log(q_z.stddev())).numpy(),
        "random": [1, 2, 0],
    }[match]
    mixed = (1 - lam)[:, None] * X + lam[:, None] * X[partner]
    probs = softmax(logits.numpy().astype("float64"))
    target = (1 - lam)[:, None] * probs + lam[:, None] * probs[partner]
    expected = kl(softmax(model.predict_logits(mixed).numpy()), target)
    np.testing.assert_allclose(found["interpolation"], expected, rtol=1e-3, atol=1e-6)


def test_the_weight_of_the_interpolation_is_equation_16():
    model = model_of(regularizers=[OptimalInterpolation(maximum=2.0, steps=10, gamma=5.0)])
    for step in (0, 4, 10, 30):
        expected = 2.0 * np.exp(-5 * (1 - min(1, step / 10)) ** 2)
        weight = model.term_weights["interpolation"](step)
        np.testing.assert_allclose(weight, expected, rtol=1e-6)
    plain = model_of(regularizers=[OptimalInterpolation()])
    assert plain.term_weights["interpolation"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"match": "optimum"}, 'did you mean "optimal"'), ({"concentration": 0.0}, "positive")],
)
def test_bad_arguments_of_the_regularizer_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        OptimalInterpolation(**arguments)


def test_a_method_without_a_code_says_so():
    from tfssvae.models.supervised import labels_alone

    model = labels_alone(model_of("m2"))
    batch = batch_of(model)
    terms = model.terms(batch, training=False)
    with pytest.raises(tfssvae.InputError, match="no code z"):
        OptimalInterpolation().terms(model, batch, terms, training=False)


def test_the_code_of_a_method_with_a_posterior_per_class_has_the_mixtures_moments():
    pairs = layers.Pairs(tf.constant(LABELS), 2, K)
    rows = len(LABELS) + 2 * K
    mean, log_var = RNG.normal(size=(rows, 2)), RNG.normal(size=(rows, 2)) * 0.5
    logits = RNG.normal(size=(4, K))
    q_z = code_of_images(pairs, layers.gaussian(mean, log_var), tf.constant(logits, tf.float32))
    np.testing.assert_allclose(q_z.mean()[:2], mean[:2], rtol=1e-5)
    probs = softmax(logits[2:])
    for row in range(2):
        chosen = slice(2 + row * K, 2 + (row + 1) * K)
        draws = RNG.choice(K, size=200_000, p=probs[row])
        z = mean[chosen][draws] + np.exp(log_var[chosen] / 2)[draws] * RNG.normal(
            size=(len(draws), 2)
        )
        np.testing.assert_allclose(q_z.mean()[2 + row], z.mean(0), atol=0.02)
        np.testing.assert_allclose(q_z.variance()[2 + row], z.var(0), rtol=0.03)


# Equations 8 to 11 -----------------------------------------------------------------------------


def direct_equation_11(model, prior):
    """Eqs. 8 and 11 of the two labelled images, the expectation over z by sampling: (2,) each."""
    q_z, logits = model.infer(X[:2])
    q = softmax(logits.numpy().astype("float64"))
    p_hat = np.full((2, K), model.epsilon / (K - 1))
    p_hat[np.arange(2), LABELS] = 1 - model.epsilon
    mean, std = q_z.mean().numpy(), q_z.stddev().numpy()
    kl_z = (0.5 * (std**2 + mean**2 - 1) - np.log(std)).sum(-1)
    draws = np.random.default_rng(1).normal(size=(20_000, 2, 2)).astype("float32")
    z = (mean + std * draws).reshape(-1, 2)
    log_p_x = np.zeros((2, K))
    for k in range(K):
        y = np.tile(np.eye(K, dtype="float32")[k], (len(z), 1))
        outputs = model.decode(tf.constant(z), tf.constant(y)).numpy().reshape(-1, 2, PIXELS)
        log_p_x[:, k] = (X[:2] * outputs - np.logaddexp(0, outputs)).sum(-1).mean(0)
    expected_log_p_x = (p_hat * log_p_x).sum(-1)
    elbo = expected_log_p_x - kl_z - kl(p_hat, prior)
    smooth = expected_log_p_x - kl_z - kl(q, prior) - kl(p_hat, q)
    return elbo, smooth


@pytest.mark.parametrize("sampling", ["exact", "gumbel_softmax"])
def test_the_smooth_elbo_equals_equation_11(sampling):
    prior = [0.5, 0.3, 0.2]
    model = model_of(class_prior=prior, epsilon=0.1, sampling=sampling)
    found = {"labelled_bound": [], "labelled_smooth_elbo": [], "terms": []}
    for seed in range(3000 if sampling == "gumbel_softmax" else 1500):
        terms = fast_terms(model)(tf.constant(seed))
        for name in ("labelled_bound", "labelled_smooth_elbo"):
            found[name].append(terms[1][name])
        found["terms"].append(
            -sum(
                value
                for name, value in terms[0].items()
                if name.startswith("labelled_") or name == "classification"
            )
        )
    elbo, smooth = direct_equation_11(model, np.array(prior))
    for name, expected in (
        ("labelled_bound", elbo),
        ("labelled_smooth_elbo", smooth),
        ("terms", smooth),
    ):
        values = np.array(found[name])
        error = values.std(0) / np.sqrt(len(values))
        # Five standard errors of six values: fails by chance once in a hundred thousand.
        assert (np.abs(values.mean(0) - expected) < 5 * error + 0.01).all(), name


def fast_terms(model):
    if not hasattr(model, "_fast_terms"):

        @tf.function
        def run(seed):
            typed = make_batch(
                ({"labelled": X[:2], "unlabelled": X}, LABELS), (PIXELS,), K, Noise(seed, 0)
            )
            terms = model.terms(typed, training=False)
            return terms.values, terms.monitors

        model._fast_terms = run
    return model._fast_terms


def test_the_smooth_elbo_tends_to_the_bound_as_q_tends_to_the_labels():
    model = model_of(class_prior=[0.5, 0.3, 0.2], epsilon=0.05, sampling="exact")
    model.head_y.kernel.assign(tf.zeros_like(model.head_y.kernel))
    errors = []
    target = np.log([0.025, 0.025, 0.95])
    for step in (1.0, 0.3, 0.1, 0.0):
        model.head_y.bias.assign(target + step * np.array([1.0, -0.5, 0.2]))
        batch = make_batch(({"labelled": X[:1]}, [2]), (PIXELS,), K, Noise(0, 0))
        monitors = model.terms(batch, training=False).monitors
        errors.append(float(monitors["labelled_smooth_elbo_error"][0]))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6


def test_without_smoothing_the_classification_term_is_the_cross_entropy():
    model = model_of(epsilon=0.0)
    batch = batch_of(model)
    terms = model.terms(batch, training=False)
    expected = -losses.categorical_log_prob(batch.labels, terms.logits[:2])
    np.testing.assert_allclose(terms.values["classification"], expected, rtol=1e-5)
    assert all(np.isfinite(value).all() for value in terms.values.values())


def test_the_relaxed_draw_is_the_softmax_of_perturbed_logits_and_the_hard_one_its_argmax():
    logits, noise = RNG.normal(size=(2, 50, K)).astype("float32")
    relaxed = layers.gumbel_softmax(logits, noise, 0.67)
    np.testing.assert_allclose(relaxed, softmax((logits + noise) / 0.67), rtol=1e-4)
    hard = layers.gumbel_softmax(logits, noise, 0.67, hard=True)
    np.testing.assert_array_equal(hard, np.eye(K)[(logits + noise).argmax(-1)])


def test_the_hard_draw_has_the_gradient_of_the_relaxed_one():
    logits = tf.Variable(RNG.normal(size=(5, K)), dtype=tf.float32)
    noise = RNG.normal(size=(5, K)).astype("float32")
    weights = RNG.normal(size=(5, K)).astype("float32")
    gradients = []
    for hard in (False, True):
        with tf.GradientTape() as tape:
            value = layers.gumbel_softmax(logits, noise, 0.5, hard=hard) * weights
        gradients.append(tape.gradient(value, logits).numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5)


def test_hard_draws_occur_as_often_as_their_probabilities():
    logits = np.log([0.7, 0.2, 0.1]).astype("float32")
    draws = layers.gumbel_softmax(logits, Noise(0, 0).gumbel((20_000, 3)), 0.67, hard=True)
    # Five standard errors: fails by chance once in a million.
    error = np.sqrt(0.25 / 20_000)
    np.testing.assert_allclose(tf.reduce_mean(draws, 0), [0.7, 0.2, 0.1], atol=5 * error)


def test_a_capacity_turns_a_divergence_into_its_distance_from_it():
    plain, limited = model_of(), model_of(capacity_z=2.0, capacity_y=linear_ramp(1.0, 10))
    for name, capacity in (("kl_z", 2.0), ("kl_y", 0.0)):
        for side in ("labelled", "unlabelled"):
            value = plain.terms(batch_of(plain), False).values[f"{side}_{name}"]
            found = limited.terms(batch_of(limited), False).values[f"{side}_{name}"]
            expected = abs(float(tf.reduce_mean(value)) - capacity)
            np.testing.assert_allclose(found, np.full(len(value), expected), rtol=1e-5)
    gradients = []
    for model in (plain, limited):
        with tf.GradientTape() as tape:
            values = model.terms(batch_of(model), False).values["unlabelled_kl_z"]
            mean = tf.reduce_mean(values)
        gradients.append(tape.gradient(mean, model.head_z.dense.kernel.value).numpy())
    below = float(tf.reduce_mean(plain.terms(batch_of(plain), False).values["unlabelled_kl_z"]))
    np.testing.assert_allclose(gradients[1], np.sign(below - 2.0) * gradients[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 1.0}, r"\[0, 1\)"),
        ({"temperature": 0.0}, "positive"),
        ({"sampling": "gumbel"}, "gumbel_max"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(tfssvae.InputError, match=message):
        model_of(**arguments)
