// Reducers. A tracker sees the items of one group one by one, and says what they come to.

class Count {
  constructor() {
    this.count = 0;
  }

  add() {
    this.count += 1;
  }

  result() {
    return this.count;
  }
}

// What is no number is left out, as an item without the property is.
class Numbers {
  constructor(read) {
    this.read = read;
    this.count = 0;
    this.sum = 0;
    this.squares = 0;
  }

  add(item) {
    const value = this.read(item);
    if (!isNumber(value)) return;
    this.count += 1;
    this.sum += value;
    this.squares += value * value;
  }

  get average() {
    return this.count ? this.sum / this.count : null;
  }

  get summary() {
    const { count, sum, squares, average: avg } = this;
    const stddev = count ? Math.sqrt(Math.max(0, squares / count - avg * avg)) : null;
    return { count, sum, sum_squares: squares, avg, stddev };
  }
}

class Extreme {
  constructor(read, isBetter) {
    this.read = read;
    this.isBetter = isBetter;
    this.value = null;
    this.item = null;
  }

  add(item) {
    const value = this.read(item);
    if (!isNumber(value) || (this.value !== null && !this.isBetter(value, this.value))) return;
    this.value = value;
    this.item = item;
  }
}

// Exact, where Mixpanel samples: the least value that so many percent do not exceed.
class Percentiles {
  constructor(read, percentiles) {
    this.read = read;
    this.percentiles = percentiles;
    this.values = [];
  }

  add(item) {
    const value = this.read(item);
    if (isNumber(value)) this.values.push(value);
  }

  result() {
    const sorted = Float64Array.from(this.values).sort();
    // Two roundings could lift 35 * 0.2 over 7, and pick the next value.
    const at = (percent) => {
      const place = Math.ceil(Number((percent * sorted.length / 100).toPrecision(12)));
      return sorted.length ? sorted[Math.max(place, 1) - 1] : null;
    };
    if (!Array.isArray(this.percentiles)) return at(this.percentiles);
    return this.percentiles.map((percentile) => ({ percentile, value: at(percentile) }));
  }
}

class Top {
  constructor(limit) {
    this.limit = limit;
    this.items = [];
  }

  add(item) {
    if (!item || !Array.isArray(item.key) || !isNumber(item.value)) {
      refuse("mixpanel.reducer.top() needs items of the form {key: [...], value: number}");
    }
    this.items.push(item);
    if (this.items.length > 4 * this.limit + 1000) this.items = this.result();
  }

  result() {
    return this.items.sort((left, right) => right.value - left.value).slice(0, this.limit);
  }
}

class Merge {
  constructor() {
    this.merged = {};
  }

  add(item) {
    if (isPlain(item)) mergeInto(this.merged, item);
  }

  result() {
    return this.merged;
  }
}

function isPlain(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Whatever else turns up under its name, a sum stays.
function mergedLeaf(known, value) {
  if (isNumber(value)) return isNumber(known) ? known + value : value;
  return isNumber(known) || (value === null && known !== undefined) ? known : value;
}

function mergeInto(target, source) {
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined) continue;
    const known = hasOwn(target, name) ? target[name] : undefined;
    const merged = isPlain(value)
      ? mergeInto(isPlain(known) ? known : {}, value)
      : mergedLeaf(known, value);
    // Not by assignment: `__proto__` may be the name of a property.
    Object.defineProperty(target, name, {
      value: merged, writable: true, enumerable: true, configurable: true,
    });
  }
  return target;
}

class Any {
  constructor() {
    this.found = undefined;
  }

  add(item) {
    if (this.found === undefined) this.found = item;
  }

  result() {
    return this.found === undefined ? null : this.found;
  }
}

const ITEMS_AT_ONCE = 1000;
const EVENTS_AT_ONCE = 10000;

// A script's own reducer, called with many items at once.
class Folded {
  constructor(fold) {
    this.fold = fold;
    this.accumulators = [];
    this.items = [];
  }

  add(item) {
    this.items.push(item);
    if (this.items.length >= ITEMS_AT_ONCE) this.settle();
  }

  settle() {
    if (!this.items.length && this.accumulators.length) return;
    this.accumulators = [this.fold(this.accumulators, this.items)];
    this.items = [];
  }

  result() {
    this.settle();
    return this.accumulators[0];
  }
}

class UserFolded {
  constructor(fold) {
    this.fold = fold;
    this.state = undefined;
    this.events = [];
  }

  add(event) {
    this.events.push(event);
    if (this.events.length >= EVENTS_AT_ONCE) this.settle();
  }

  settle() {
    if (!this.events.length) return;
    this.state = this.fold(this.state, this.events);
    this.events = [];
  }

  result() {
    this.settle();
    return this.state;
  }
}

class Several {
  constructor(trackers) {
    this.trackers = trackers;
  }

  add(item) {
    for (const tracker of this.trackers) tracker.add(item);
  }

  settle() {
    for (const tracker of this.trackers) settle(tracker);
  }

  result() {
    return this.trackers.map((tracker) => tracker.result());
  }
}

function settle(tracker) {
  if (tracker.settle) tracker.settle();
}

class Reducer {
  constructor(start) {
    this.start = start;
  }
}

function tracked(Tracker, result, ...options) {
  return new Reducer(() => {
    const tracker = new Tracker(...options);
    return { add: (item) => tracker.add(item), result: () => result(tracker) };
  });
}

function checkedPercentiles(percentiles) {
  const known = listOf(percentiles);
  if (!known.length || !known.every((each) => isNumber(each) && each > 0 && each < 100)) {
    refuse("mixpanel.reducer.numeric_percentiles() needs percentiles between 0 and 100");
  }
  return percentiles;
}

function checkedLimit(limit, caller) {
  if (!Number.isInteger(limit) || limit < 0) refuse(`${caller} needs a number of items`);
  return limit;
}

const less = (value, known) => value < known;
const more = (value, known) => value > known;

const reducers = {
  count: () => new Reducer(() => new Count()),
  sum: (accessor) => tracked(Numbers, (all) => all.sum, numeric(accessor, "sum")),
  avg: (accessor) => tracked(Numbers, (all) => all.average, numeric(accessor, "avg")),
  numeric_summary: (accessor) =>
    tracked(Numbers, (all) => all.summary, numeric(accessor, "numeric_summary")),
  min: (accessor) => tracked(Extreme, (best) => best.value, numeric(accessor, "min"), less),
  max: (accessor) => tracked(Extreme, (best) => best.value, numeric(accessor, "max"), more),
  min_by: (accessor) => tracked(Extreme, (best) => best.item, numeric(accessor, "min_by"), less),
  max_by: (accessor) => tracked(Extreme, (best) => best.item, numeric(accessor, "max_by"), more),
  numeric_percentiles(accessor, percentiles) {
    const read = numeric(accessor, "numeric_percentiles");
    const checked = checkedPercentiles(percentiles);
    return new Reducer(() => new Percentiles(read, checked));
  },
  top(limit) {
    checkedLimit(limit, "mixpanel.reducer.top()");
    return new Reducer(() => new Top(limit));
  },
  object_merge: () => new Reducer(() => new Merge()),
  any: () => new Reducer(() => new Any()),
  null: () => tracked(Count, () => null),
};

function numeric(accessor, name) {
  return optionalReaderOf(accessor, `mixpanel.reducer.${name}()`);
}

const uncalled = new Map(Object.entries(reducers).map(([name, make]) => [make, name]));

// Returns what starts a tracker for each group; `Own` is for the script's own functions.
function trackerMaker(reducer, Own, caller) {
  if (Array.isArray(reducer)) {
    const makers = reducer.map((each) => trackerMaker(each, Own, caller));
    return () => new Several(makers.map((make) => make()));
  }
  if (reducer instanceof Reducer) return reducer.start;
  if (uncalled.has(reducer)) {
    const name = uncalled.get(reducer);
    refuse(`${caller} got mixpanel.reducer.${name}; call it: mixpanel.reducer.${name}()`);
  }
  if (typeof reducer === "function") return () => new Own(reducer);
  return refuse(`${caller} needs a reducer: a function, mixpanel.reducer.count(), ..., or a list`);
}
