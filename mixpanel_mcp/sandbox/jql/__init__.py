"""JQL: a script's plan runs in a JavaScript engine, its data comes from DuckDB.

Sources: Mixpanel's page "JQL: Create custom queries using Javascript code", `query.openapi.yaml`
/jql. `routes` answers the request, `scripts` knows what runs; `execution` starts a child process,
hands it the script, learns from it what the script reads (`sources` makes SQL of that) and feeds it
the items piece by piece. The script runs in the child alone (`engine`, with the JavaScript below
`runtime/`), which holds neither secrets nor open files nor data but what the script asked for, and
is ended when the script's time is up.

Where Mixpanel's page is silent:

- Events count as in reports: once each, under the canonical id of their user. They come in the
  order of their times, to groupByUser() and from join() by user and time; profiles by id.
- An event that several selectors find comes once, under the label of the first of them.
- groupBy() puts out its groups in the order in which it first saw them; sorting keeps equal items
  in their order; null sorts before booleans, numbers and strings.
- A property that is missing makes a null in a group key. Under multiple_keys() an empty list makes
  no key.
- groupByUser() hands a function all events of a user at once, up to some thousands.
- reduce() makes one item of an empty collection too: of a function, what it makes of two empty
  lists; of a built-in reducer, 0 (count, sum), an empty object (object_merge), an empty list (top)
  or null. Numeric reducers leave out what is no number.
- Percentiles are exact: the least value that the given share of the values does not exceed.
- top() and applyGroupLimits() keep the earlier of equal items. applyGroupLimits() keeps, under each
  prefix of the key that it kept, as many next components as the limit of that position says.
- object_merge() keeps a sum whatever else turns up under its name; of other values the last counts.
- numeric_bucket() makes null of a value below the lowest bound; to_number() makes seconds since the
  epoch of a date.
"""
