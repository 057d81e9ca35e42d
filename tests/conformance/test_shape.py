"""The suite's reader of the schema says what a whole validator says, and where."""

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_conformance.generated import sample, wrong_payloads
from palaver_conformance.shape import faults, is_valid, protocol
from palaver_protocol.table import REQUESTS

MESSAGE = {
    "messageId": "m",
    "userId": "u",
    "userName": "Ada",
    "content": "hi",
    "timestamp": 1,
    "reactions": [{"emoji": "👍", "userIds": ["u"], "count": 1}],
}
SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.just(0.5)
    | st.sampled_from(["", "x", "a b", "x" * 70, "group"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*MESSAGE, "x"]), inner, max_size=3),
    max_leaves=4,
)


def validator(schema):
    return jsonschema_rs.Draft202012Validator({"$defs": protocol()["$defs"], **schema})


@pytest.mark.parametrize("event", REQUESTS)
def test_samples_are_right_and_wrong_ones_wrong(event):
    schema = protocol()["requests"][event]["payload"]
    whole = validator(schema)
    assert whole.is_valid(sample(event))
    assert is_valid(schema, sample(event))
    for payload in wrong_payloads(event):
        assert not whole.is_valid(payload), payload
        assert not is_valid(schema, payload), payload


@given(st.sampled_from(sorted(MESSAGE)), SCRAPS)
def test_it_says_what_a_whole_validator_says(name, scrap):
    schema = {"$ref": "#/$defs/ChatMessage"}
    for message in (MESSAGE | {name: scrap}, {key: value for key, value in MESSAGE.items() if key != name}, scrap):
        assert is_valid(schema, message) == validator(schema).is_valid(message), message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"content": 7}, "$.content: expected string"),
        ({"content": ""}, "$.content: expected 1 to 20000 characters"),
        ({"timestamp": True}, "$.timestamp: expected integer"),
        ({"timestamp": 1.0}, "$.timestamp: expected integer"),
        ({"userId": "a\n"}, "$.userId: expected ^[!-~]{1,64}$"),
        ({"reactions": [{"emoji": "👍", "userIds": ["u"]}]}, "$.reactions[0].count: missing"),
        ({"reactions": {}}, "$.reactions: expected array"),
        ({"replyTo": None}, "$.replyTo: expected object"),
    ],
)
def test_it_says_where(change, said):
    assert list(faults({"$ref": "#/$defs/ChatMessage"}, MESSAGE | change)) == [said]
