"""A query in a language that the model does not know is answered, and the answer says so."""

from __future__ import annotations

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import languages
from clip_atelier.engine.search.loaded_model import LoadedModel
from clip_atelier.engine.search.query import Query


def remarks(query: Query, loaded: LoadedModel) -> tuple[str, ...]:
    """Sentences in the user's language; none for a run, whose update may have learned the language.

    A model that the shelf does not know is measured the first time that it is asked in other letters than Latin ones.
    """
    words = " ".join(term.content for term in query.terms if isinstance(term.content, str))
    language = languages.language_of(words)
    if loaded.run_folder is not None or not language:
        return ()
    known = languages.told(loaded.model.name)
    if known is None:
        if language == "en":
            return ()  # what a model of another language makes of it is said when it is trained
        known = drive(languages.languages(loaded.clip, loaded.home, Control()))
    told = languages.warning([words], known, loaded.model.name)
    return (told,) if told else ()
