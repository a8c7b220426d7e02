"""What members say of one another, and what all of it comes to."""

from __future__ import annotations

from hashlib import sha256

from scripts.recount.book import Book
from scripts.recount.lives import Row, Voice, claim


def _blame_mark(subject: bytes, rater: bytes, category: int) -> bytes:
    name = b"r" + subject + rater + category.to_bytes(4, "big")
    return sha256(b"goodfaith/marker/blame" + name).digest()


class Voices(Book):
    """The book, and the ratings that are given, taken back, objected to and answered."""

    def _rate(self, row: Row, who: bytes) -> None:
        subject, rules = self._member(row["subject"]), self.policy["raters"]
        claim(who in self.enrolled and who != subject, "a rating by nobody, or about oneself")
        categories = [rule for rule in self.policy["rating"] if rule["code"] == row["category"]]
        claim(
            categories and categories[0]["min"] <= row["points"] <= categories[0]["max"], "a rating against the policy"
        )
        claim(not categories[0]["closed"], "a rating in a closed category")
        old = self.ratings[subject].get((who, row["category"]))
        claim(old is None or (not old.deadline and not 0 < old.due <= self.slot), "a rating replaced while it is open")
        claim(
            row["points"] >= 0 or _blame_mark(subject, who, row["category"]) not in self.markers,
            "blame again, for which no reason was given before",
        )
        self._check_rater(who, is_new=old is None)
        dealt = 0
        if rules["counting"] == "receipt":
            dealt, days = row["dealt_slot"], rules["rating_days"]
            claim(row["receipt"] and row["subject"] == self.current[subject], "a rating without a receipt")
            claim(
                dealt <= self.date and (not days or self.date < dealt + self._days(days)), "a dealing of another time"
            )
            claim(old is None or old.dealt < dealt, "a dealing rated twice")
        expires = self.slot + self._days(rules["rating_days"]) if rules["rating_days"] else 0
        self.ratings[subject][who, row["category"]] = Voice(row["points"], self.height, expires, dealt)

    def _check_rater(self, who: bytes, *, is_new: bool) -> None:
        rules = self.policy["raters"]
        age = self.date - self.consents[who][0]
        claim(not rules["age_days"] or age >= self._days(rules["age_days"]), "a rating by somebody too fresh")
        claim(self.standing(who).score >= rules["least_score"], "a rating by somebody of no standing")
        claim(not is_new or self.given(who) < rules["most_given"], "more ratings than one may give")

    def _retract(self, row: Row, who: bytes) -> None:
        subject = self._member(row["subject"])
        voice = self._voice(subject, who, row["category"])
        self._unsay(subject, (who, row["category"]), is_silence=voice.status == "disputed")

    def _unsay(self, subject: bytes, name: tuple[bytes, int], *, is_silence: bool) -> None:
        """A rating is gone; that it blamed without a reason is kept for as long as ratings, or else records, are."""
        voice = self.ratings[subject].pop(name)
        if is_silence and voice.points < 0:
            days = self.policy["raters"]["rating_days"] or self.policy["periods"]["retention_days"]
            self.markers[_blame_mark(subject, *name)] = self.slot + self._days(days), False

    def _dispute(self, row: Row, who: bytes) -> None:
        voice = self._voice(who, self._member(row["rater"]), row["category"])
        claim(voice.status == "standing", "an objection to a rating that was answered or asked about")
        voice.status, voice.grounds = "disputed", row["grounds"]
        version = max(version for version, height in self.came.items() if height <= voice.height)
        voice.deadline = self.slot + self._days(self._policy_of(version)["raters"]["answer_days"])

    def _reply(self, row: Row, who: bytes) -> None:
        voice = self._voice(self._member(row["subject"]), who, row["category"])
        claim(voice.status == "disputed", "a reason that nobody waits for")
        voice.status, voice.reason, voice.deadline = "answered", row["reason"], 0

    def _voice(self, subject: bytes, rater: bytes, category: int) -> Voice:
        voice = self.ratings[subject].get((rater, category))
        claim(
            voice is not None and not 0 < voice.due <= self.slot,
            "something happens to no rating, or to one that is due",
        )
        assert voice is not None
        return voice
