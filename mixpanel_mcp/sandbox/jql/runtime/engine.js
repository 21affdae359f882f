// What a script finds around it, and the four calls through which it is run.

const DATE = /^(?!0000)\d{4}-\d{2}-\d{2}(?=$|T)/;

// The specification's own example passes whole timestamps: their day counts.
function day(value, name) {
  const text = value instanceof Date ? value.toJSON() : value;
  const [date] = (typeof text === "string" && DATE.exec(text)) || [];
  if (date && new Date(date).toJSON()?.startsWith(date)) return date;
  return refuse(`Events() needs ${name} as a date of the form YYYY-MM-DD`);
}

function selectors(value, name, fields) {
  if (value === undefined || value === null) return [];
  const isSelector = (each) => isPlain(each) && fields.every((field) => (
    each[field] === undefined || each[field] === null || typeof each[field] === "string"
  ));
  if (!Array.isArray(value) || !value.every(isSelector)) {
    refuse(`${name} must be a list of objects with ${fields.join(", ")}, all strings`);
  }
  const taken = (each, field) => (typeof each[field] === "string" ? each[field] : null);
  return value.map((each) => Object.fromEntries(fields.map((field) => [field, taken(each, field)])));
}

const here = () => new Error().stack;

function Events(options) {
  if (!isPlain(options)) refuse("Events() needs an object with from_date and to_date");
  const fromDate = day(options.from_date, "from_date");
  const toDate = day(options.to_date, "to_date");
  if (fromDate > toDate) refuse("Events() needs a from_date that is not later than to_date");
  const fields = ["event", "selector", "label"];
  return new Collection({
    kind: "events",
    from_date: fromDate,
    to_date: toDate,
    event_selectors: selectors(options.event_selectors, "event_selectors", fields),
    stack: here(),
  });
}

function People(options = {}) {
  if (!isPlain(options)) refuse("People() needs an object, or nothing");
  return new Collection({
    kind: "people",
    user_selectors: selectors(options.user_selectors, "user_selectors", ["selector"]),
    stack: here(),
  });
}

const JOINS = ["full", "left", "right", "inner"];

function joined(collection, kind) {
  if (!(collection instanceof Collection) || Collection.source(collection).kind !== kind) {
    refuse("join() needs Events(), People() and, if need be, options");
  }
  if (!Collection.isUntouched(collection)) {
    refuse("join() takes Events() and People() as they are; transform what it returns");
  }
  return Collection.source(collection);
}

function join(events, people, options = {}) {
  const inputs = { events: joined(events, "events"), people: joined(people, "people") };
  if (!isPlain(options)) refuse("the options of join() must be an object");
  const { type = "full" } = options;
  if (!JOINS.includes(type)) refuse(`the type of join() must be one of ${JOINS.join(", ")}`);
  return new Collection({
    kind: "join",
    type,
    ...inputs,
    selectors: selectors(options.selectors, "selectors", ["event", "selector"]),
    stack: here(),
  });
}

const mixpanel = {
  reducer: reducers,
  multiple_keys: (accessors) => new MultipleKeys(accessors),
  slice(accessor, start, limit) {
    const read = readerOf(accessor, "mixpanel.slice()");
    return (item) => {
      const value = read(item);
      return Array.isArray(value) ? value.slice(start, limit) : value;
    };
  },
  to_number(accessor) {
    const read = optionalReaderOf(accessor, "mixpanel.to_number()");
    return (item) => toNumber(read(item));
  },
  numeric_bucket(accessor, buckets) {
    const read = readerOf(accessor, "mixpanel.numeric_bucket()");
    const bottom = bottomOf(buckets);
    return (item) => {
      const value = read(item);
      return isNumber(value) ? bottom(value) : undefined;
    };
  },
  daily_time_buckets: { bucket_size: DAY },
  weekly_time_buckets: { bucket_size: 7 * DAY, offset: MONDAY },
  monthly_time_buckets: new CalendarBuckets(1),
  quarterly_time_buckets: new CalendarBuckets(3),
  annual_time_buckets: new CalendarBuckets(12),
};

const ignore = () => undefined;
const console = { log: ignore, info: ignore, warn: ignore, error: ignore, debug: ignore };

Object.assign(globalThis, { Events, People, join, mixpanel, _, console, print: ignore });

class Sink {
  constructor() {
    this.texts = [];
  }

  push(items) {
    for (const item of items) this.texts.push(writeJson(item) ?? "null");
  }

  end() {}

  take() {
    const text = this.texts.join(",");
    this.texts = [];
    return text;
  }
}

const slice = Function.prototype.call.bind(String.prototype.slice);
const short = (text) => slice(`${text}`, 0, 10000);

function described(error) {
  if (error instanceof Error) {
    return { name: short(error.name), message: short(error.message), stack: short(error.stack) };
  }
  const message = isPlain(error) ? writeJson(error) : String(error);
  return { name: "", message: short(message), stack: "" };
}

// What a template joins may stay in two pieces, which the binding cannot read.
const inOnePiece = Function.prototype.call.bind(Array.prototype.join);

// The first letter of each answer tells a result from an error.
function answering(work) {
  return (input) => {
    try {
      return inOnePiece(["=", work(input)], "");
    } catch (error) {
      return inOnePiece(["!", writeJson(described(error))], "");
    }
  };
}

const sink = new Sink();
let stages = sink;

function begin(main) {
  if (typeof main !== "function") refuse("The script must define a function main()");
  const collection = main();
  if (!(collection instanceof Collection)) {
    refuse("main() must return Events(), People() or join(), or a transformation of them");
  }
  stages = Collection.flow(collection, sink);
  return writeJson(Collection.source(collection));
}

function feed(items) {
  stages.push(parseJson(items));
  return sink.take();
}

function finish() {
  stages.end();
  return sink.take();
}

function setParams(text) {
  globalThis.params = parseJson(text);
  return "";
}

globalThis.jqlCalls = [setParams, begin, feed, finish].map(answering);
