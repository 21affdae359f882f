// Collections are plans: what is read, and the stages that the items then flow through.

class Stage {
  constructor(next) {
    this.next = next;
  }

  end() {
    this.next.end();
  }

  pushAll(items) {
    for (let at = 0; at < items.length; at += ITEMS_AT_ONCE) {
      this.next.push(items.slice(at, at + ITEMS_AT_ONCE));
    }
  }
}

class Filter extends Stage {
  constructor(next, test) {
    super(next);
    this.test = test;
  }

  push(items) {
    const kept = items.filter((item) => this.test(item));
    if (kept.length) this.next.push(kept);
  }
}

class Mapped extends Stage {
  constructor(next, change) {
    super(next);
    this.change = change;
  }

  push(items) {
    this.next.push(items.map((item) => this.change(item)));
  }
}

class Flattened extends Stage {
  push(items) {
    this.next.push(items.flat());
  }
}

class Sorted extends Stage {
  constructor(next, read, sign) {
    super(next);
    this.read = read;
    this.sign = sign;
    this.pairs = [];
  }

  push(items) {
    for (const item of items) this.pairs.push([scalar(this.read(item), "A sort key"), item]);
  }

  end() {
    this.pairs.sort((left, right) => this.sign * compare(left[0], right[0]));
    this.pushAll(this.pairs.map((pair) => pair[1]));
    super.end();
  }
}

class Reduced extends Stage {
  constructor(next, start) {
    super(next);
    this.tracker = start();
  }

  push(items) {
    for (const item of items) this.tracker.add(item);
  }

  end() {
    this.next.push([this.tracker.result()]);
    super.end();
  }
}

const UNSETTLED_ITEMS = 20000;

class Groups {
  constructor(start) {
    this.start = start;
    this.groups = new Map();
  }

  add(key, item) {
    const name = writeJson(key);
    let group = this.groups.get(name);
    if (!group) {
      group = { key, tracker: this.start() };
      this.groups.set(name, group);
    }
    group.tracker.add(item);
  }

  settle() {
    for (const { tracker } of this.groups.values()) settle(tracker);
  }

  // A value that JSON cannot hold must not take the key of its own away.
  results() {
    return Array.from(this.groups.values(), ({ key, tracker }) => (
      { key, value: tracker.result() ?? null }
    ));
  }
}

// Groups come out in the order in which they were first seen.
class Grouped extends Stage {
  constructor(next, readKeys, start) {
    super(next);
    this.readKeys = readKeys;
    this.groups = new Groups(start);
    this.unsettled = 0;
  }

  push(items) {
    for (const item of items) {
      for (const key of this.readKeys(item)) this.groups.add(key, item);
    }
    // Only so many items wait for the script's own reducers at any time.
    this.unsettled += items.length;
    if (this.unsettled < UNSETTLED_ITEMS) return;
    this.groups.settle();
    this.unsettled = 0;
  }

  end() {
    this.pushAll(this.groups.results());
    super.end();
  }
}

// Its source comes sorted by user and time, so one user is held at a time.
class GroupedByUser extends Stage {
  constructor(next, readKeys, start) {
    super(next);
    this.readKeys = readKeys;
    this.start = start;
    this.user = undefined;
    this.groups = undefined;
    this.done = [];
  }

  push(items) {
    for (const item of items) {
      if (item.distinct_id !== this.user || !this.groups) this.begin(item.distinct_id);
      for (const key of this.readKeys(item, item.distinct_id)) this.groups.add(key, item);
    }
  }

  begin(user) {
    this.finish();
    this.user = user;
    this.groups = new Groups(this.start);
    if (this.done.length >= ITEMS_AT_ONCE) this.flush();
  }

  finish() {
    if (this.groups) this.done.push(...this.groups.results());
    this.groups = undefined;
  }

  flush() {
    this.pushAll(this.done);
    this.done = [];
  }

  end() {
    this.finish();
    this.flush();
    super.end();
  }
}

// Under each prefix of the key that was kept, the first so many next components are kept.
class Limited extends Stage {
  constructor(next, limits, most) {
    super(next);
    this.limits = limits;
    this.left = most;
    this.kept = new Map();
  }

  push(items) {
    const kept = items.filter((item) => this.left > 0 && this.keep(item));
    if (kept.length) this.next.push(kept);
  }

  keep(item) {
    if (!item || !Array.isArray(item.key)) {
      refuse("applyGroupLimits() needs items of the form {key: [...], value}");
    }
    const levels = this.limits.map((limit, level) => {
      const prefix = writeJson(item.key.slice(0, level));
      return { limit, prefix, name: writeJson(item.key.slice(0, level + 1)) };
    });
    const isFree = ({ limit, prefix, name }) => {
      const names = this.kept.get(prefix);
      return limit === null || !names || names.has(name) || names.size < limit;
    };
    if (!levels.every(isFree) || levels.some(({ limit }) => limit === 0)) return false;
    for (const { prefix, name } of levels) {
      if (!this.kept.has(prefix)) this.kept.set(prefix, new Set());
      this.kept.get(prefix).add(name);
    }
    this.left -= 1;
    return true;
  }
}

function wanted(change, caller) {
  return typeof change === "function" ? change : refuse(`${caller} needs a function`);
}

class Collection {
  #source;

  #stages;

  #isSource;

  constructor(source, stages = [], isSource = true) {
    this.#source = source;
    this.#stages = stages;
    this.#isSource = isSource;
  }

  // Private, so that a script finds only what Mixpanel documents.
  static source(collection) {
    return collection.#source;
  }

  static isUntouched(collection) {
    return collection.#stages.length === 0;
  }

  static flow(collection, sink) {
    return collection.#stages.reduceRight((next, make) => make(next), sink);
  }

  #then(make, { isSource = false, source = this.#source } = {}) {
    return new Collection(source, [...this.#stages, make], isSource);
  }

  filter(test) {
    wanted(test, "filter()");
    return this.#then((next) => new Filter(next, test), { isSource: this.#isSource });
  }

  map(change) {
    wanted(change, "map()");
    return this.#then((next) => new Mapped(next, change));
  }

  flatten() {
    return this.#then((next) => new Flattened(next));
  }

  sortAsc(accessor) {
    const read = readerOf(accessor, "sortAsc()");
    return this.#then((next) => new Sorted(next, read, 1));
  }

  sortDesc(accessor) {
    const read = readerOf(accessor, "sortDesc()");
    return this.#then((next) => new Sorted(next, read, -1));
  }

  reduce(reducer) {
    const start = trackerMaker(reducer, Folded, "reduce()");
    return this.#then((next) => new Reduced(next, start));
  }

  groupBy(keys, reducer) {
    const readKeys = keysReader(keys);
    const start = trackerMaker(reducer, Folded, "groupBy()");
    return this.#then((next) => new Grouped(next, readKeys, start));
  }

  groupByUser(...options) {
    if (!this.#isSource) {
      refuse("groupByUser() follows Events(), People() or join(), or their filter(), directly");
    }
    const [keys, reducer] = options.length < 2 ? [[], options[0]] : options;
    const readKeys = keysReader(keys);
    const start = trackerMaker(reducer, UserFolded, "groupByUser()");
    const source = { ...this.#source, by_user: true };
    return this.#then((next) => new GroupedByUser(next, readKeys, start), { source });
  }

  applyGroupLimits(limits, most) {
    const levels = listOf(limits).map((limit) => (
      limit === null || limit === undefined ? null : checkedLimit(limit, "applyGroupLimits()")
    ));
    const left = most === undefined ? Infinity : checkedLimit(most, "applyGroupLimits()");
    return this.#then((next) => new Limited(next, levels, left));
  }
}
