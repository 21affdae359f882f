// The functions of `_` that scripts over collections use, by their usual names.

const _ = (() => {
  const isArrayLike = (value) => Array.isArray(value) || typeof value === "string"
    || (value !== null && typeof value === "object" && Number.isInteger(value.length));
  const isObject = (value) =>
    typeof value === "function" || (typeof value === "object" && value !== null);
  const keys = (object) => (isObject(object) ? Object.keys(object) : []);
  const values = (object) => keys(object).map((key) => object[key]);
  const toArray = (list) => (isArrayLike(list) ? Array.from(list) : values(list));
  const identity = (value) => value;
  const has = (object, key) => isObject(object) && hasOwn(object, key);
  const isMatch = (object, wanted) =>
    keys(wanted).every((key) => isObject(object) && object[key] === wanted[key]);
  const property = (path) => {
    const parts = listOf(path);
    return (object) => parts.reduce((value, part) => (
      value === null || value === undefined ? undefined : value[part]
    ), object);
  };

  // What may be given in place of a function: nothing, properties to match, or a path.
  function iteratee(value, context) {
    if (value === undefined || value === null) return identity;
    if (typeof value === "function") return context === undefined ? value : value.bind(context);
    return isObject(value) && !Array.isArray(value)
      ? (object) => isMatch(object, value)
      : property(value);
  }

  const entries = (list) => (
    isArrayLike(list)
      ? Array.from(list, (value, index) => [index, value])
      : keys(list).map((key) => [key, list[key]])
  );
  const mapped = (list, change, context) => {
    const call = iteratee(change, context);
    return entries(list).map(([key, value]) => call(value, key, list));
  };
  const kept = (list, test, context) => {
    const call = iteratee(test, context);
    return entries(list).filter(([key, value]) => call(value, key, list)).map(([, value]) => value);
  };
  const not = (test, context) => {
    const call = iteratee(test, context);
    return (...options) => !call(...options);
  };
  const found = (list, test, context) => {
    const call = iteratee(test, context);
    return entries(list).find(([key, value]) => call(value, key, list));
  };

  // Without a start the first item is it.
  function folded(pairs, fold, start) {
    const [state, left] = start.length
      ? [start[0], pairs]
      : [pairs[0]?.[1], pairs.slice(1)];
    return left.reduce((known, [key, value]) => fold(known, value, key), state);
  }

  function gathered(add) {
    return (list, by, context) => {
      const call = iteratee(by, context);
      const groups = {};
      for (const [key, value] of entries(list)) add(groups, call(value, key, list), value);
      return groups;
    };
  }

  function best(isBetter, none) {
    return (list, by, context) => {
      const call = iteratee(by, context);
      let [result, score] = [none, none];
      for (const [key, value] of entries(list)) {
        const computed = call(value, key, list);
        if (isBetter(computed, score)) [result, score] = [value, computed];
      }
      return result;
    };
  }

  function sortBy(list, by, context) {
    const call = iteratee(by, context);
    const order = (left, right) => {
      if (left === right || (left === undefined && right === undefined)) return 0;
      if (left === undefined || left > right) return 1;
      return right === undefined || left < right ? -1 : 0;
    };
    return entries(list)
      .map(([key, value]) => ({ value, score: call(value, key, list) }))
      .sort((left, right) => order(left.score, right.score))
      .map(({ value }) => value);
  }

  function unique(list, isSorted, by, context) {
    const [change, bound] = typeof isSorted === "boolean" ? [by, context] : [isSorted, by];
    const call = iteratee(change, bound);
    const seen = new Set();
    return toArray(list).filter((value, index) => {
      const name = call(value, index, list);
      if (seen.has(name)) return false;
      seen.add(name);
      return true;
    });
  }

  const flattened = (list, depth = Infinity) => toArray(list).flat(depth === true ? 1 : depth);
  // As the function of a map() they are given an index too, and the list as a guard.
  const first = (list, count, guard) => (
    count === undefined || guard ? toArray(list)[0] : toArray(list).slice(0, Math.max(0, count))
  );
  const last = (list, count, guard) => (
    count === undefined || guard ? toArray(list).at(-1) : toArray(list).slice(-count || Infinity)
  );
  const rest = (list, count, guard) =>
    toArray(list).slice(count === undefined || guard ? 1 : count);
  const initial = (list, count, guard) =>
    toArray(list).slice(0, count === undefined || guard ? -1 : -count || undefined);
  const difference = (list, ...others) => {
    const gone = new Set(others.flat());
    return toArray(list).filter((value) => !gone.has(value));
  };
  const zip = (...lists) => {
    const length = Math.max(0, ...lists.map((list) => list.length));
    return Array.from({ length }, (__, index) => lists.map((list) => list[index]));
  };
  const picked = (isWanted) => (object, ...names) => {
    const test = typeof names[0] === "function" ? names[0] : (__, key) => names.flat().includes(key);
    const pairs = Object.entries(isObject(object) ? object : {});
    return Object.fromEntries(
      pairs.filter(([key, value]) => Boolean(test(value, key, object)) === isWanted),
    );
  };

  function isEqual(left, right) {
    if (Object.is(left, right) || left === right) return true;
    if (!isObject(left) || !isObject(right)) return false;
    if (left instanceof Date && right instanceof Date) return +left === +right;
    if (Array.isArray(left) !== Array.isArray(right)) return false;
    const names = keys(left);
    return names.length === keys(right).length
      && names.every((name) => has(right, name) && isEqual(left[name], right[name]));
  }

  const kinds = {};
  for (const kind of ["String", "Number", "Boolean", "Date", "RegExp", "Function", "Arguments"]) {
    kinds[`is${kind}`] = (value) => {
      const tag = Object.prototype.toString.call(value).slice(8, -1);
      return tag === kind || (kind === "Function" && typeof value === "function");
    };
  }

  let identifiers = 0;

  const functions = {
    ...kinds,
    each(list, call, context) {
      mapped(list, call, context);
      return list;
    },
    map: mapped,
    reduce: (list, fold, ...start) => folded(entries(list), fold, start),
    reduceRight: (list, fold, ...start) => folded(entries(list).reverse(), fold, start),
    find: (list, test, context) => found(list, test, context)?.[1],
    findKey: (object, test, context) => found(object, test, context)?.[0],
    findIndex: (list, test, context) => toArray(list).findIndex(iteratee(test, context)),
    findLastIndex: (list, test, context) => toArray(list).findLastIndex(iteratee(test, context)),
    filter: kept,
    reject: (list, test, context) => kept(list, not(test, context)),
    partition: (list, test, context) =>
      [kept(list, test, context), kept(list, not(test, context))],
    where: kept,
    findWhere: (list, wanted) => found(list, wanted)?.[1],
    every: (list, test, context) => found(list, not(test, context)) === undefined,
    some: (list, test, context) => found(list, test, context) !== undefined,
    contains: (list, value, from = 0) => toArray(list).includes(value, from),
    invoke: (list, name, ...options) => mapped(list, (value) => value[name](...options)),
    pluck: (list, path) => mapped(list, property(path)),
    max: best((value, score) => value > score, -Infinity),
    min: best((value, score) => value < score, Infinity),
    sortBy,
    groupBy: gathered((groups, key, value) => {
      if (has(groups, key)) groups[key].push(value);
      else groups[key] = [value];
    }),
    indexBy: gathered((groups, key, value) => {
      groups[key] = value;
    }),
    countBy: gathered((groups, key) => {
      groups[key] = (has(groups, key) ? groups[key] : 0) + 1;
    }),
    shuffle: (list) => sortBy(list, Math.random),
    sample(list, count) {
      const mixed = functions.shuffle(list);
      return count === undefined ? mixed[0] : first(mixed, count);
    },
    toArray,
    size: (list) => entries(list).length,
    first,
    initial,
    last,
    rest,
    compact: (list) => toArray(list).filter(Boolean),
    flatten: flattened,
    without: (list, ...gone) => difference(list, gone),
    union: (...lists) => unique(lists.flat()),
    intersection: (list, ...others) =>
      unique(list).filter((value) => others.every((other) => other.includes(value))),
    difference,
    uniq: unique,
    zip,
    unzip: (lists) => zip(...lists),
    object: (names, items) => Object.fromEntries(
      items === undefined ? names : names.map((name, index) => [name, items[index]]),
    ),
    chunk: (list, size) => Array.from({ length: Math.ceil(list.length / size) }, (__, index) => (
      list.slice(index * size, (index + 1) * size)
    )),
    indexOf: (list, value) => toArray(list).indexOf(value),
    lastIndexOf: (list, value) => toArray(list).lastIndexOf(value),
    sortedIndex(list, value, by) {
      const call = iteratee(by);
      const index = toArray(list).findIndex((each) => call(each) >= call(value));
      return index < 0 ? list.length : index;
    },
    range(from, to, step) {
      const [start, stop] = to === undefined ? [0, from] : [from, to];
      const width = step || (stop < start ? -1 : 1);
      const length = Math.max(0, Math.ceil((stop - start) / width));
      return Array.from({ length }, (__, index) => start + index * width);
    },
    keys,
    values,
    mapObject(object, change, context) {
      const call = iteratee(change, context);
      return Object.fromEntries(keys(object).map((key) => [key, call(object[key], key, object)]));
    },
    pairs: (object) => keys(object).map((key) => [key, object[key]]),
    invert: (object) => Object.fromEntries(keys(object).map((key) => [object[key], key])),
    extend: (target, ...sources) => Object.assign(target, ...sources),
    defaults(target, ...sources) {
      for (const source of sources) {
        for (const key of keys(source)) if (target[key] === undefined) target[key] = source[key];
      }
      return target;
    },
    pick: picked(true),
    omit: picked(false),
    clone: (value) => {
      if (Array.isArray(value)) return [...value];
      return isObject(value) ? { ...value } : value;
    },
    tap(value, call) {
      call(value);
      return value;
    },
    has,
    property,
    propertyOf: (object) => (path) => property(path)(object),
    matcher: (wanted) => (object) => isMatch(object, wanted),
    isMatch,
    isEqual,
    isEmpty: (value) => entries(value).length === 0,
    isArray: Array.isArray,
    isObject,
    isFinite: (value) => Number.isFinite(typeof value === "string" ? parseFloat(value) : value),
    isNaN: (value) => Number.isNaN(value),
    isNull: (value) => value === null,
    isUndefined: (value) => value === undefined,
    identity,
    constant: (value) => () => value,
    noop: () => undefined,
    times: (count, call, context) => Array.from({ length: count }, (__, index) => (
      call.call(context, index)
    )),
    random: (from, to) => {
      const [low, high] = to === undefined ? [0, from] : [from, to];
      return low + Math.floor(Math.random() * (high - low + 1));
    },
    uniqueId: (prefix = "") => {
      identifiers += 1;
      return `${prefix}${identifiers}`;
    },
    result(object, name, otherwise) {
      const value = property(name)(object);
      const known = value === undefined ? otherwise : value;
      return typeof known === "function" ? known.call(object) : known;
    },
    now: () => Date.now(),
    bind: (call, context, ...bound) => call.bind(context, ...bound),
    partial: (call, ...bound) => (...more) => call(...bound, ...more),
    memoize(call, namer = identity) {
      const known = new Map();
      return (...options) => {
        const name = namer(...options);
        if (!known.has(name)) known.set(name, call(...options));
        return known.get(name);
      };
    },
    once: (call) => {
      let answer;
      return (...options) => {
        answer ??= [call(...options)];
        return answer[0];
      };
    },
    negate: (test) => not(test),
    compose: (...calls) => (...options) =>
      calls.reduceRight((given, call) => [call(...given)], options)[0],
  };

  const otherNames = {
    forEach: "each",
    collect: "map",
    foldl: "reduce",
    inject: "reduce",
    foldr: "reduceRight",
    detect: "find",
    select: "filter",
    all: "every",
    any: "some",
    include: "contains",
    includes: "contains",
    head: "first",
    take: "first",
    tail: "rest",
    drop: "rest",
    unique: "uniq",
    assign: "extend",
    extendOwn: "extend",
    allKeys: "keys",
    matches: "matcher",
  };
  for (const [other, name] of Object.entries(otherNames)) functions[other] = functions[name];

  // `_(list).map(...)` answers at once; `_.chain(list).map(...).value()` goes on.
  class Wrapped {
    constructor(value, isChained) {
      this.wrapped = value;
      this.isChained = isChained;
    }

    chain() {
      return new Wrapped(this.wrapped, true);
    }

    value() {
      return this.wrapped;
    }
  }
  for (const [name, call] of Object.entries(functions)) {
    Wrapped.prototype[name] = function wrappedCall(...options) {
      const answer = call(this.wrapped, ...options);
      return this.isChained ? new Wrapped(answer, true) : answer;
    };
  }
  const wrap = (value) => new Wrapped(value, false);
  return Object.assign(wrap, functions, { chain: (value) => new Wrapped(value, true) });
})();
