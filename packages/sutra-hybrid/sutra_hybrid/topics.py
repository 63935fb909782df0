"""Clusters texts into topics."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sutra_hybrid.libraries import load

# Fewer texts form one topic.
MIN_TEXTS = 4
MAX_TOPICS = 8
TERMS = 5
# Only the beginning of a text is used: the rest takes time and rarely adds a subject.
MAX_CHARACTERS = 2_000
# Words start with a letter; numbers do not distinguish topics.
WORD = r"\b[^\W\d]\w+\b"


class Cluster(NamedTuple):
    """The terms that distinguish a topic from the others, strongest first, and the indexes of its texts."""

    terms: list[str]
    members: list[int]


def find_topics(texts: Sequence[str], count: int | None = None) -> list[Cluster]:
    """Cluster `texts` by k-means over TF-IDF; largest cluster first.

    Without `count`, uses the number from 2 to 8 with the highest silhouette score. Deterministic, because the
    seed is fixed. Blocks.
    """
    numpy = load("numpy")
    matrix, words = _weights([text[:MAX_CHARACTERS] for text in texts])
    if matrix is None:
        return [Cluster([], list(range(len(texts))))]
    distinct = len(numpy.unique(matrix.toarray(), axis=0))
    labels = _labels(matrix, distinct, count)
    clusters = []
    for label in numpy.unique(labels):
        members, others = numpy.flatnonzero(labels == label), numpy.flatnonzero(labels != label)
        # Subtracting cancels words that are common everywhere, such as articles.
        strength = _mean(matrix[members]) - (_mean(matrix[others]) if len(others) else 0)
        best = [index for index in strength.argsort(kind="stable")[::-1][:TERMS] if strength[index] > 0]
        clusters.append(Cluster([str(words[index]) for index in best], members.tolist()))
    return sorted(clusters, key=lambda cluster: (-len(cluster.members), cluster.members))


def _mean(rows: Any) -> Any:
    return load("numpy").asarray(rows.mean(axis=0)).ravel()


def _weights(texts: Sequence[str]) -> tuple[Any, Any]:
    for stop_words in ("english", None):
        vectorizer = load("sklearn.feature_extraction.text").TfidfVectorizer(
            sublinear_tf=True, strip_accents="unicode", token_pattern=WORD, stop_words=stop_words
        )
        try:
            return vectorizer.fit_transform(texts), vectorizer.get_feature_names_out()
        except ValueError:
            # No words left: only stop words, or only symbols and numbers.
            continue
    return None, None


def _labels(matrix: Any, distinct: int, count: int | None) -> Any:
    numpy, means, metrics = load("numpy"), load("sklearn.cluster"), load("sklearn.metrics")

    def cluster(number: int) -> Any:
        return means.KMeans(number, n_init=4, random_state=0).fit_predict(matrix)

    rows = matrix.shape[0]
    if count is not None:
        return cluster(min(count, distinct))
    most = min(MAX_TOPICS, distinct, rows - 1)
    if rows < MIN_TEXTS or most < 2:  # noqa: PLR2004 - one topic needs no clustering
        return numpy.zeros(rows, dtype=int)
    attempts = [cluster(number) for number in range(2, most + 1)]
    # k-means may leave clusters empty, and the silhouette score needs at least two.
    proper = [labels for labels in attempts if len(numpy.unique(labels)) > 1]
    if not proper:
        return attempts[0]
    return max(proper, key=lambda labels: metrics.silhouette_score(matrix, labels, metric="cosine"))
