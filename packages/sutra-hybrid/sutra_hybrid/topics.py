"""Topics: which subjects a set of texts speaks of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sutra_hybrid.libraries import load

# Fewer texts than this are one topic.
LEAST_TEXTS = 4
MOST_TOPICS = 8
TERMS = 5
# Beyond its first two thousand characters a text adds time, and hardly ever another subject.
READ_CHARACTERS = 2_000
# Words begin with a letter: numbers are in every topic.
WORD = r"\b[^\W\d]\w+\b"


class Cluster(NamedTuple):
    """Words that mark a topic off from the others, strongest first, and the places of its texts."""

    terms: list[str]
    members: list[int]


def find_topics(texts: Sequence[str], count: int | None = None) -> list[Cluster]:
    """Clusters of `texts`, the largest first: k-means over TF-IDF.

    Without `count`, the number from 2 to 8 whose clusters are best separated (highest silhouette). Equal
    texts give equal topics: the seed is fixed. Blocks.
    """
    numpy = load("numpy")
    matrix, words = _weights([text[:READ_CHARACTERS] for text in texts])
    if matrix is None:
        return [Cluster([], list(range(len(texts))))]
    distinct = len(numpy.unique(matrix.toarray(), axis=0))
    labels = _labels(matrix, distinct, count)
    clusters = []
    for label in numpy.unique(labels):
        members, others = numpy.flatnonzero(labels == label), numpy.flatnonzero(labels != label)
        # Words that the others have as well, such as a language's articles, cancel out.
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
            # No word is left: all are stop words, or there are none (signs and numbers only).
            continue
    return None, None


def _labels(matrix: Any, distinct: int, count: int | None) -> Any:
    numpy, means, metrics = load("numpy"), load("sklearn.cluster"), load("sklearn.metrics")

    def cluster(number: int) -> Any:
        return means.KMeans(number, n_init=4, random_state=0).fit_predict(matrix)

    rows = matrix.shape[0]
    if count is not None:
        return cluster(min(count, distinct))
    most = min(MOST_TOPICS, distinct, rows - 1)
    if rows < LEAST_TEXTS or most < 2:  # noqa: PLR2004 - one topic needs no clustering
        return numpy.zeros(rows, dtype=int)
    attempts = [cluster(number) for number in range(2, most + 1)]
    # k-means may leave a cluster empty; fewer than two cannot be compared.
    proper = [labels for labels in attempts if len(numpy.unique(labels)) > 1]
    if not proper:
        return attempts[0]
    return max(proper, key=lambda labels: metrics.silhouette_score(matrix, labels, metric="cosine"))
