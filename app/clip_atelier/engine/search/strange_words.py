"""A query in a language that the model does not know is answered, and the answer says so."""

from __future__ import annotations

from clip_atelier.engine.core import Control, drive
from clip_atelier.engine.models import languages
from clip_atelier.engine.search.loaded_model import LoadedModel
from clip_atelier.engine.search.query import Query


def measures(query: Query, loaded: LoadedModel) -> bool:
    """Whether `remarks` has to look at the loaded model."""
    return (
        loaded.run_folder is None
        and _language(query) not in ("", "en")
        and languages.told(loaded.model.name) is None
    )


def _language(query: Query) -> str:
    return languages.language_of(_words(query))


def _words(query: Query) -> str:
    return " ".join(term.content for term in query.terms if isinstance(term.content, str))


def remarks(query: Query, loaded: LoadedModel) -> tuple[str, ...]:
    """Sentences in the user's language; none for a run, whose update may have learned the language.

    A model that the shelf does not know is measured the first time that it is asked in other letters than Latin ones.
    """
    language = _language(query)
    if loaded.run_folder is not None or not language:
        return ()
    known = languages.told(loaded.model.name)
    if known is None:
        if language == "en":
            return ()  # what a model of another language makes of it is said when it is trained
        known = drive(languages.languages(loaded.clip, loaded.home, Control()))
    told = languages.warning([_words(query)], known, loaded.model.name)
    return (told,) if told else ()
