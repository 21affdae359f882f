// Reading values out of items: paths, group keys, numbers, buckets.

// A script may replace these globals; what it gets back must still be JSON.
const parseJson = JSON.parse;
const writeJson = JSON.stringify;
const hasOwn = Object.hasOwn;

function refuse(message) {
  throw new TypeError(message);
}

function readerOfPath(path) {
  const parts = path.split(".");
  return (item) => {
    let value = item;
    for (const part of parts) {
      if (value === null || value === undefined || !hasOwn(Object(value), part)) return undefined;
      value = value[part];
    }
    return value;
  };
}

function readerOf(accessor, caller) {
  if (typeof accessor === "function") return accessor;
  if (typeof accessor === "string") return readerOfPath(accessor);
  return refuse(`${caller} needs a property path or a function`);
}

function optionalReaderOf(accessor, caller) {
  return accessor === undefined ? (item) => item : readerOf(accessor, caller);
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

// JSON has no undefined and no NaN, and a key is compared as the JSON it becomes.
function scalar(value, caller) {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return isNumber(value) ? value : null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (value instanceof Date) return value.toJSON();
  return refuse(`${caller} must be a string, a number, a boolean or null`);
}

class MultipleKeys {
  constructor(accessors) {
    this.readers = listOf(accessors).map((each) => readerOf(each, "mixpanel.multiple_keys()"));
  }
}

function listOf(value) {
  return Array.isArray(value) ? value : [value];
}

const groupKey = (value) => scalar(value, "A group key");

// A list becomes part of the key; under multiple_keys() each of its elements makes a key.
function keyPart(accessor) {
  if (accessor instanceof MultipleKeys) {
    return (item, keys) => accessor.readers.reduce(
      (longer, read) => {
        const values = listOf(read(item)).map(groupKey);
        return longer.flatMap((key) => values.map((value) => [...key, value]));
      },
      keys,
    );
  }
  const read = readerOf(accessor, "A group key");
  return (item, keys) => {
    const value = read(item);
    if (!Array.isArray(value)) {
      const only = groupKey(value);
      for (const key of keys) key.push(only);
    } else {
      const values = value.map(groupKey);
      for (const key of keys) key.push(...values);
    }
    return keys;
  };
}

function keysReader(accessors) {
  const parts = listOf(accessors).map(keyPart);
  return (item, first) => parts.reduce((keys, part) => part(item, keys), [first ? [first] : []]);
}

const ISO_DATE = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

// A date counts in seconds since the epoch, as in the example of the JQL page.
function toNumber(value) {
  if (isNumber(value)) return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof Date) return toNumber(value.getTime() / 1000);
  if (typeof value !== "string") return undefined;
  if (DECIMAL.test(value)) return toNumber(Number(value));
  if (!ISO_DATE.test(value)) return undefined;
  const zoned = value.length > 10 && !/(?:Z|[+-]\d{2}:?\d{2})$/.test(value) ? `${value}Z` : value;
  return toNumber(Date.parse(zoned.replace(" ", "T")) / 1000);
}

const DAY = 86400000;
const MONDAY = 4 * DAY; // the epoch was a Thursday

class CalendarBuckets {
  constructor(months) {
    this.months = months;
  }

  bottom(time) {
    const date = new Date(time);
    const month = Math.floor(date.getUTCMonth() / this.months) * this.months;
    return Date.UTC(date.getUTCFullYear(), month, 1);
  }
}

function bottomOf(buckets) {
  if (buckets instanceof CalendarBuckets) return (value) => buckets.bottom(value);
  if (Array.isArray(buckets) && buckets.every(isNumber)) {
    const bounds = [...buckets].sort((left, right) => right - left);
    return (value) => bounds.find((bound) => bound <= value);
  }
  const { bucket_size: size, offset = 0 } = buckets || {};
  if (!isNumber(size) || size <= 0 || !isNumber(offset)) {
    refuse("mixpanel.numeric_bucket() needs a list of bounds, or {bucket_size, offset}");
  }
  return (value) => Math.floor((value - offset) / size) * size + offset;
}

const RANKS = { boolean: 1, number: 2, string: 3 };

function rank(value) {
  return value === null ? 0 : RANKS[typeof value];
}

function compare(left, right) {
  if (left === right) return 0;
  if (typeof left !== typeof right || left === null || right === null) {
    return rank(left) - rank(right);
  }
  return left < right ? -1 : 1;
}
