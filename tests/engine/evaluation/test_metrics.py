import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from clip_atelier.engine.evaluation import METRICS, Interval, bootstrap, metrics


def naive(name, order, relevant):
    """One metric of one ranking (item indices, best first), written as its definition reads."""
    places = [place for place, item in enumerate(order, 1) if item in relevant]
    head, _, cutoff = name.partition("@")
    k = int(cutoff or len(order))
    found = [place for place in places if place <= k]
    precisions = [sum(other <= place for other in places) / place for place in found]
    return {
        "R": lambda: float(bool(found)),
        "P": lambda: len(found) / k,
        "mAP": lambda: sum(precisions) / min(k, len(relevant)),
        "MRR": lambda: 1 / places[0],
        "median_rank": lambda: float(places[0]),
    }[head]()


def naive_order(scores, own):
    """Highest score first, equal scores by item order, the query itself not in it."""
    items = [item for item in range(len(scores)) if item != own]
    return sorted(items, key=lambda item: (-scores[item], item))


@st.composite
def rankings(draw):
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 14))
    # Few distinct scores, so that ties are common; both zeros, which are equal.
    score = st.sampled_from([-1.0, -0.0, 0.0, 0.25, 0.5]) | st.floats(-1, 1, width=32)
    scores = draw(
        st.lists(st.lists(score, min_size=gallery, max_size=gallery), min_size=queries, max_size=queries)
    )
    bits = draw(st.lists(st.integers(0, 2**gallery - 1), min_size=queries, max_size=queries))
    positives = [[bool(row >> item & 1) for item in range(gallery)] for row in bits]
    own = draw(st.lists(st.integers(-1, gallery - 1), min_size=queries, max_size=queries))
    return np.array(scores, np.float32), np.array(positives), np.array(own)


@given(rankings())
@settings(max_examples=300)
def test_every_metric_agrees_with_its_definition(case):
    scores, positives, own = case
    values = metrics.per_query(scores, positives, own, names=tuple(METRICS))
    for q in range(len(scores)):
        order = naive_order(scores[q].tolist(), own[q])
        relevant = {item for item in order if positives[q, item]}
        for name, value in values.items():
            if relevant:
                assert value[q] == pytest.approx(naive(name, order, relevant)), name
            else:
                assert math.isnan(value[q])


@given(rankings())
def test_metrics_stay_in_their_range_and_the_chunk_size_does_not_matter(case):
    scores, positives, own = case
    values = metrics.per_query(scores, positives, own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_CHUNK_CELLS", 1)
        one_by_one = metrics.per_query(scores, positives, own)
    for name, value in values.items():
        np.testing.assert_array_equal(value, one_by_one[name])
        known = value[~np.isnan(value)]
        assert (known >= (1 if name == "median_rank" else 0)).all()
        assert (known <= (scores.shape[1] if name == "median_rank" else 1)).all()


@pytest.mark.parametrize("name", METRICS)
def test_chance_is_the_average_over_all_rankings(name):
    for gallery, relevant in [(1, 1), (5, 1), (5, 2), (6, 5), (6, 6)]:
        values = [
            naive(name, range(gallery), set(places))
            for places in itertools.combinations(range(gallery), relevant)
        ]
        positives = np.zeros((3, gallery), bool)
        positives[:2, :relevant] = True  # the third query has no answer and is left out
        level = metrics.chance(positives, names=[name])[name]
        if name == "median_rank":  # the median of a lottery: at least half the rankings are as good
            assert sum(value <= level for value in values) >= len(values) / 2
            assert sum(value < level for value in values) < len(values) / 2
        else:
            assert level == pytest.approx(statistics.mean(values))


def test_chance_of_an_excluded_query_is_that_of_the_smaller_gallery():
    positives = np.zeros((1, 8), bool)
    positives[0, [0, 3, 5]] = True
    smaller = np.zeros((1, 7), bool)
    smaller[0, :2] = True
    assert metrics.chance(positives, np.array([3])) == metrics.chance(smaller)


def test_chance_is_what_random_scores_reach():
    rng = np.random.default_rng(1)
    positives = np.zeros((20_000, 60), bool)
    positives[np.arange(20_000), rng.integers(0, 60, 20_000)] = True
    positives[:10_000, :3] = True
    reached = metrics.aggregate(metrics.per_query(rng.random((20_000, 60)), positives))
    level = metrics.chance(positives)
    for name in ("R@1", "R@5", "R@10", "mAP", "MRR", "P@10"):
        assert reached[name] == pytest.approx(level[name], rel=0.1), name


@pytest.fixture(scope="module")
def without_ties():
    # Scores above zero: torchmetrics does not count a relevant item with a score of zero or less.
    rng = np.random.default_rng(7)
    scores = rng.permuted(np.tile(np.linspace(0.1, 1, 40, dtype=np.float32), (25, 1)), axis=1)
    positives = rng.random((25, 40)) < 0.15
    positives[:, 0] = True
    return scores, positives


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("mAP", "RetrievalMAP", {}),
        ("MRR", "RetrievalMRR", {}),
        ("P@10", "RetrievalPrecision", {"top_k": 10}),
        ("R@1", "RetrievalHitRate", {"top_k": 1}),
        ("R@5", "RetrievalHitRate", {"top_k": 5}),
        ("R@10", "RetrievalHitRate", {"top_k": 10}),
    ],
)
def test_agrees_with_torchmetrics(without_ties, name, theirs, options):
    torch = pytest.importorskip("torch")
    retrieval = pytest.importorskip("torchmetrics.retrieval")
    scores, positives = without_ties
    queries = np.repeat(np.arange(len(scores)), scores.shape[1])
    expected = getattr(retrieval, theirs)(**options)(
        torch.from_numpy(scores.ravel()), torch.from_numpy(positives.ravel()), torch.from_numpy(queries)
    )
    ours = metrics.aggregate(metrics.per_query(scores, positives))[name]
    assert ours == pytest.approx(float(expected), abs=1e-6)


def test_average_precision_agrees_with_scikit_learn(without_ties):
    scores, positives = without_ties
    ours = metrics.per_query(scores, positives)["mAP"]
    theirs = [average_precision_score(p, s) for p, s in zip(positives, scores, strict=True)]
    np.testing.assert_allclose(ours, theirs)
    assert ours.mean() == pytest.approx(label_ranking_average_precision_score(positives, scores))


def test_a_broken_model_gets_no_credit():
    # All scores NaN: the relevant item must not float to the top; it keeps its place in item order.
    positives = np.zeros((1, 12), bool)
    positives[0, 11] = True
    values = metrics.per_query(np.full((1, 12), np.nan), positives)
    assert values["median_rank"][0] == 12
    scores = np.full((1, 12), -np.inf)
    scores[0, 11] = np.nan
    assert metrics.per_query(scores, positives, np.array([0]))["median_rank"][0] == 11


def test_a_query_without_answers_is_left_out_of_the_average():
    scores = np.array([[0.9, 0.1], [0.9, 0.1]])
    positives = np.array([[True, False], [False, False]])
    assert metrics.aggregate(metrics.per_query(scores, positives))["R@1"] == 1.0
    nobody = metrics.aggregate(metrics.per_query(scores, np.zeros((2, 2), bool)))
    assert all(math.isnan(value) for value in nobody.values())
    assert all(math.isnan(value) for value in metrics.chance(np.zeros((2, 2), bool)).values())


def test_deep_metrics_are_left_out_of_small_galleries():
    assert "P@200" not in metrics.applicable(199)
    assert "P@200" in metrics.applicable(200)
    assert {"R@1", "R@5", "R@10", "mAP", "MRR", "median_rank"} <= set(metrics.applicable(2))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        metrics.per_query(np.zeros((2, 3)), np.zeros((3, 2), bool))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_explains_itself(metric):
    assert metric.title
    assert metric.explanation.endswith(".")
    assert metric.name in metric.title or metric.name == "median_rank"


# --- comparison -------------------------------------------------------------------------------------------------


def naive_bootstrap(base, adapted, clusters, average, samples=4000):
    rng = np.random.default_rng(123)
    groups = [np.flatnonzero(clusters == key) for key in np.unique(clusters)]
    differences = []
    for _ in range(samples):
        drawn = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
        differences.append(average(adapted[drawn]) - average(base[drawn]))
    return np.percentile(differences, [2.5, 97.5])


@pytest.mark.parametrize("average", ["mean", "median"])
def test_the_interval_is_that_of_a_naive_bootstrap(average):
    rng = np.random.default_rng(3)
    clusters = np.sort(rng.integers(0, 40, 150))
    base = rng.normal(10, 3, 150)
    adapted = base + rng.normal(1, 2, 150) + rng.normal(0, 1.5, 40)[clusters]
    ours = bootstrap.paired_bootstrap(base, adapted, clusters, samples=4000, average=average)
    low, high = naive_bootstrap(base, adapted, clusters, getattr(np, average))
    assert ours.value == pytest.approx(getattr(np, average)(adapted) - getattr(np, average)(base))
    assert ours.low == pytest.approx(low, abs=0.1 * (high - low))
    assert ours.high == pytest.approx(high, abs=0.1 * (high - low))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=20).filter(
    lambda pairs: any(weight for _, weight in pairs)))  # fmt: skip
def test_the_weighted_median_is_the_median_of_the_repeated_values(pairs):
    values = np.array([value for value, _ in pairs], float)
    weights = np.array([weight for _, weight in pairs])
    ours = bootstrap._weighted_median(values, weights[None].astype(float))[0]
    assert ours == np.median(np.repeat(values, weights))


def test_correlated_captions_widen_the_interval():
    rng = np.random.default_rng(0)
    gain = rng.integers(0, 2, 60).astype(float)
    base, adapted = np.zeros(300), np.repeat(gain, 5)
    together = bootstrap.paired_bootstrap(base, adapted, np.repeat(np.arange(60), 5))
    apart = bootstrap.paired_bootstrap(base, adapted)
    assert together.value == apart.value
    assert together.high - together.low > 1.8 * (apart.high - apart.low)


def test_the_same_queries_and_seed_give_the_same_interval_and_none_gives_none():
    rng = np.random.default_rng(0)
    base, adapted = rng.random(50), rng.random(50)
    assert bootstrap.paired_bootstrap(base, adapted) == bootstrap.paired_bootstrap(base, adapted)
    assert bootstrap.paired_bootstrap(base, adapted) != bootstrap.paired_bootstrap(base, adapted, seed=1)
    empty = bootstrap.paired_bootstrap(np.array([np.nan]), np.array([1.0]))
    assert math.isnan(empty.value)
    assert bootstrap.verdict(empty) == "no measurable difference"


def test_equal_models_never_differ():
    values = np.random.default_rng(0).random(200)
    assert bootstrap.paired_bootstrap(values, values) == Interval(0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize(("changed", "said"), [(1, False), (5, False), (6, True), (40, True)])
def test_a_handful_of_changed_queries_is_no_gain(changed, said):
    base, adapted = np.zeros(100), np.zeros(100)
    adapted[:changed] = 1
    interval = bootstrap.paired_bootstrap(base, adapted)
    assert interval.changed == changed
    assert (bootstrap.verdict(interval) == "gain") is said


def test_verdicts_follow_the_metrics_direction():
    for interval, up, down in [
        (Interval(0.1, 0.02, 0.2), "gain", "loss"),
        (Interval(-0.1, -0.2, -0.02), "loss", "gain"),
        (Interval(0.1, 0.0, 0.2), "no measurable difference", "no measurable difference"),
        (Interval(0.0, -0.1, 0.1), "no measurable difference", "no measurable difference"),
    ]:
        assert bootstrap.verdict(interval) == up
        assert bootstrap.verdict(interval, "down") == down


def test_noise_is_called_a_gain_no_more_often_than_promised():
    # 300 comparisons in which nothing was learned: about 5 % of 95 % intervals may exclude zero, half of them upwards.
    rng = np.random.default_rng(42)
    said = [
        bootstrap.verdict(
            bootstrap.paired_bootstrap(
                (rng.random(80) < 0.4).astype(float),
                (rng.random(80) < 0.4).astype(float),
                samples=400,
                seed=i,
            )
        )
        for i in range(300)
    ]
    assert said.count("no measurable difference") >= 300 * 0.89
