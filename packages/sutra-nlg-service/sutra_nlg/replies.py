"""The replies when the facts contain no answer."""

NO_FACTS = "There are no facts to answer this question from."
NO_ANSWER = "None of the given facts answers this question."
