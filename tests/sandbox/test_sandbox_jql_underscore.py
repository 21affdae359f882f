"""`_` has the functions that scripts use, and they do what their names say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jql_scripts import evaluated

PEOPLE = [{"n": 2, "a": "x"}, {"n": 1, "a": "y"}, {"n": 3, "a": "x"}]
LIST = json.dumps(PEOPLE)
TWO, ONE, THREE = PEOPLE


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("_.map([1, 2], n => n * 2)", [2, 4]),
        ("_.map({a: 1, b: 2}, (n, key) => key + n)", ["a1", "b2"]),
        ("_.collect(PEOPLE, 'a')", ["x", "y", "x"]),
        ("_.pluck(PEOPLE, 'n')", [2, 1, 3]),
        ("[_.each([1], n => 5), _.forEach({a: 1}, n => 5)]", [[1], {"a": 1}]),
        ("_.reduce([1, 2, 3], (sum, n) => sum + n)", 6),
        ("_.reduce([1, 2, 3], (sum, n) => sum + n, 10)", 16),
        ("_.reduceRight(['a', 'b'], (all, each) => all + each, '')", "ba"),
        ("_.find(PEOPLE, each => each.n > 2)", THREE),
        ("_.findWhere(PEOPLE, {a: 'x'})", TWO),
        ("[_.findIndex(PEOPLE, {n: 3}), _.findKey({a: 1, b: 2}, n => n == 2)]", [2, "b"]),
        ("[_.filter(PEOPLE, {a: 'x'}), _.where(PEOPLE, {a: 'y'})]", [[TWO, THREE], [ONE]]),
        ("_.reject(PEOPLE, each => each.a == 'x')", [ONE]),
        ("_.partition([1, 2, 3], n => n > 1)", [[2, 3], [1]]),
        ("[_.every([1, 0]), _.all([]), _.some([0, 1]), _.any([])]", [False, True, True, False]),
        ("[_.contains([1, 2], 2), _.includes({a: 5}, 5), _.include([], 1)]", [True, True, False]),
        ("_.invoke(['b', 'a'], 'concat', '!')", ["b!", "a!"]),
        ("[_.max([1, 3, 2]), _.min([2, 1]), _.max(PEOPLE, 'n')]", [3, 1, THREE]),
        ("_.max([]) === -Infinity", True),
        ("_.sortBy(PEOPLE, 'n')", [ONE, TWO, THREE]),
        ("_.sortBy([3, undefined, 1])", [1, 3, None]),
        ("_.groupBy([1.5, 2.5, 1.9], Math.floor)", {"1": [1.5, 1.9], "2": [2.5]}),
        ("_.groupBy(['constructor'])", {"constructor": ["constructor"]}),
        ("_.countBy(PEOPLE, 'a')", {"x": 2, "y": 1}),
        ("_.indexBy(PEOPLE, 'n')", {"1": ONE, "2": TWO, "3": THREE}),
        ("[_.size([1, 2]), _.size({a: 1}), _.size('abc')]", [2, 1, 3]),
        ("[_.first([1, 2, 3]), _.first([1, 2, 3], 2), _.take([1], 0)]", [1, [1, 2], []]),
        ("[_.last([1, 2, 3]), _.last([1, 2, 3], 2), _.last([1], 0)]", [3, [2, 3], []]),
        ("[_.rest([1, 2, 3]), _.tail([1, 2, 3], 2), _.initial([1, 2, 3])]", [[2, 3], [3], [1, 2]]),
        ("[_.map([[1], [2, 3]], _.first), _.map([[1], [2, 3]], _.last)]", [[1, 2], [1, 3]]),
        ("[_.map([[1], [2, 3]], _.rest), _.map([[1], [2, 3]], _.initial)]",
         [[[], [3]], [[], [2]]]),
        ("_.compact([0, 1, '', null, 'a'])", [1, "a"]),
        ("[_.flatten([1, [2, [3]]]), _.flatten([1, [2, [3]]], true)]", [[1, 2, 3], [1, 2, [3]]]),
        ("_.without([1, 2, 1, 3], 1, 3)", [2]),
        ("[_.union([1, 2], [2, 3]), _.intersection([1, 2], [2])]", [[1, 2, 3], [2]]),
        ("_.difference([1, 2, 3], [2], [3])", [1]),
        ("[_.uniq([1, 2, 1]), _.unique(PEOPLE, 'a')]", [[1, 2], [TWO, ONE]]),
        ("_.zip([1, 2], ['a'])", [[1, "a"], [2, None]]),
        ("[_.object(['a'], [1]), _.object([['b', 2]])]", [{"a": 1}, {"b": 2}]),
        ("_.chunk([1, 2, 3], 2)", [[1, 2], [3]]),
        ("[_.indexOf([1, 2], 2), _.lastIndexOf([1, 1], 1), _.sortedIndex([1, 3], 2)]", [1, 1, 1]),
        ("[_.range(3), _.range(1, 4), _.range(4, 0, -2)]", [[0, 1, 2], [1, 2, 3], [4, 2]]),
        ("[_.keys({a: 1}), _.values({a: 1}), _.pairs({a: 1})]", [["a"], [1], [["a", 1]]]),
        ("_.mapObject({a: 1, b: 2}, n => n + 1)", {"a": 2, "b": 3}),
        ("_.invert({a: 'b'})", {"b": "a"}),
        ("_.extend({a: 1}, {b: 2}, {a: 3})", {"a": 3, "b": 2}),
        ("_.defaults({a: 1}, {a: 2, b: 2})", {"a": 1, "b": 2}),
        ("[_.pick({a: 1, b: 2}, 'a'), _.omit({a: 1, b: 2}, ['a'])]", [{"a": 1}, {"b": 2}]),
        ("_.pick({a: 1, b: 2}, n => n > 1)", {"b": 2}),
        ("_.clone([1, {a: 1}])", [1, {"a": 1}]),
        ("[_.has({a: 1}, 'a'), _.has({}, 'toString'), _.has(null, 'a')]", [True, False, False]),
        ("[_.property('a')({a: 1}), _.property(['a', 'b'])({a: {b: 2}})]", [1, 2]),
        ("_.filter(PEOPLE, _.matcher({n: 1}))", [ONE]),
        ("[_.isEqual({a: [1]}, {a: [1]}), _.isEqual([1], [2]), _.isEqual(1, '1')]",
         [True, False, False]),
        ("[_.isEmpty([]), _.isEmpty({}), _.isEmpty(''), _.isEmpty([0])]",
         [True, True, True, False]),
        ("[_.isArray([]), _.isObject([]), _.isObject(null), _.isFunction(_)]",
         [True, True, False, True]),
        ("[_.isString('a'), _.isNumber(NaN), _.isBoolean(false), _.isDate(new Date())]",
         [True] * 4),
        ("[_.isNaN(NaN), _.isNaN(undefined), _.isFinite('5'), _.isFinite('')]",
         [True, False, True, False]),
        ("[_.isNull(null), _.isUndefined(undefined), _.isNull(undefined)]", [True, True, False]),
        ("[_.identity(5), _.constant(6)(), _.times(3, n => n * n)]", [5, 6, [0, 1, 4]]),
        ("[_.random(5, 5), _.isNumber(_.now()), _.uniqueId('id')]", [5, True, "id1"]),
        ("[_.result({a: () => 1}, 'a'), _.result({}, 'a', 2)]", [1, 2]),
        ("[_.partial((a, b) => a - b, 5)(3), _.compose(n => n + 1, n => n * 2)(5)]", [2, 11]),
        ("[_.once(() => 7)(), _.memoize(n => n * 2)(4), _.negate(n => n)(0)]", [7, 8, True]),
        ("[_.sample([4]), _.shuffle([1, 2, 3]).length, _.sample([1, 2], 2).length]", [4, 3, 2]),
        ("_([1, 2, 3]).filter(n => n > 1)", [2, 3]),
        ("_.chain([3, 1, 2]).filter(n => n > 1).sortBy().map(n => n * 10).value()", [20, 30]),
        ("_(PEOPLE).chain().countBy('a').pairs().value()", [["x", 2], ["y", 1]]),
    ],
    ids=str,
)  # fmt: skip
def test_underscore(expression: str, expected: Any) -> None:
    assert evaluated(expression.replace("PEOPLE", LIST)) == expected


def test_other_names_lead_to_the_same_functions() -> None:
    pairs = [
        ("forEach", "each"), ("inject", "reduce"), ("foldl", "reduce"), ("detect", "find"),
        ("select", "filter"), ("head", "first"), ("drop", "rest"), ("assign", "extend"),
    ]  # fmt: skip
    expression = f"[{', '.join(f'_.{other} === _.{name}' for other, name in pairs)}]"
    assert evaluated(expression) == [True] * len(pairs)
