// The project's zone is UTC. Windows tells the engine its own zone, whatever TZ says.

if ([0, 6].some((month) => new Date(2020, month, 1).getTimezoneOffset() !== 0)) {
  const SystemDate = Date;
  const MINUTE = 60000;
  const ZONED = /(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})\s*$/i;
  const DATE_ALONE = /^\d{4}(?:-\d{2}){0,2}$/;

  // What the system shows of it in its own zone is what UTC shows of the date.
  const shifted = (date) => {
    const time = SystemDate.prototype.getTime.call(date);
    const close = new SystemDate(time + new SystemDate(time).getTimezoneOffset() * MINUTE);
    return new SystemDate(time + close.getTimezoneOffset() * MINUTE);
  };

  const parse = (text) => {
    const time = SystemDate.parse(text);
    if (ZONED.test(text) || DATE_ALONE.test(text)) return time;
    return time - new SystemDate(time).getTimezoneOffset() * MINUTE;
  };

  class UtcDate extends SystemDate {
    constructor(...parts) {
      if (parts.length > 1) super(SystemDate.UTC(...parts));
      else if (typeof parts[0] === "string") super(parse(parts[0]));
      else super(...parts);
    }

    static parse(text) {
      return parse(`${text}`);
    }

    getTimezoneOffset() {
      return Number.isNaN(this.getTime()) ? NaN : 0;
    }

    toTimeString() {
      return Number.isNaN(this.getTime())
        ? "Invalid Date"
        : `${this.toISOString().split("T")[1].slice(0, 8)} GMT+0000`;
    }

    toString() {
      return Number.isNaN(this.getTime())
        ? "Invalid Date"
        : `${this.toDateString()} ${this.toTimeString()}`;
    }
  }

  const units = ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"];
  for (const unit of units) {
    UtcDate.prototype[`get${unit}`] = SystemDate.prototype[`getUTC${unit}`];
    UtcDate.prototype[`set${unit}`] = SystemDate.prototype[`setUTC${unit}`];
  }
  for (const name of ["DateString", "LocaleString", "LocaleDateString", "LocaleTimeString"]) {
    UtcDate.prototype[`to${name}`] = function inUtc(...options) {
      return SystemDate.prototype[`to${name}`].apply(shifted(this), options);
    };
  }
  globalThis.Date = UtcDate;
}
