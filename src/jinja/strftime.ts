// datetime.now().strftime() in the C locale, in the local time zone; a naive time, so %z and %Z are empty.
import { spend, spendText } from "./budget.js";
import { unsupported } from "./errors.js";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

function pad(value: number, width = 2, fill = "0"): string {
  return String(value).padStart(width, fill);
}

/** Days since the first of January. */
function dayOfYear(date: Date): number {
  return Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000,
  );
}

/** ISO 8601: weeks begin on Monday, and the first holds the year's first Thursday. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7));
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

function expand(date: Date, code: string): string | undefined {
  const hour12 = date.getHours() % 12 || 12;
  switch (code) {
    case "a":
      return DAYS[date.getDay()]!.slice(0, 3);
    case "A":
      return DAYS[date.getDay()]!;
    case "b":
    case "h":
      return MONTHS[date.getMonth()]!.slice(0, 3);
    case "B":
      return MONTHS[date.getMonth()]!;
    case "c":
      return format(date, "%a %b %e %H:%M:%S %Y");
    case "C":
      return pad(Math.floor(date.getFullYear() / 100));
    case "d":
      return pad(date.getDate());
    case "D":
    case "x":
      return format(date, "%m/%d/%y");
    case "e":
      return pad(date.getDate(), 2, " ");
    case "f":
      return pad(date.getMilliseconds() * 1000, 6);
    case "F":
      return format(date, "%Y-%m-%d");
    case "g":
      return pad(isoWeek(date).year % 100);
    case "G":
      return String(isoWeek(date).year);
    case "H":
      return pad(date.getHours());
    case "I":
      return pad(hour12);
    case "j":
      return pad(dayOfYear(date) + 1, 3);
    case "k":
      return pad(date.getHours(), 2, " ");
    case "l":
      return pad(hour12, 2, " ");
    case "m":
      return pad(date.getMonth() + 1);
    case "M":
      return pad(date.getMinutes());
    case "n":
      return "\n";
    case "p":
      return date.getHours() < 12 ? "AM" : "PM";
    case "P":
      return date.getHours() < 12 ? "am" : "pm";
    case "r":
      return format(date, "%I:%M:%S %p");
    case "R":
      return format(date, "%H:%M");
    case "s":
      return String(Math.floor(date.getTime() / 1000));
    case "S":
      return pad(date.getSeconds());
    case "t":
      return "\t";
    case "T":
    case "X":
      return format(date, "%H:%M:%S");
    case "u":
      return String(date.getDay() || 7);
    case "U":
      return pad(Math.floor((dayOfYear(date) + 7 - date.getDay()) / 7));
    case "V":
      return pad(isoWeek(date).week);
    case "w":
      return String(date.getDay());
    case "W":
      return pad(Math.floor((dayOfYear(date) + 7 - ((date.getDay() + 6) % 7)) / 7));
    case "y":
      return pad(date.getFullYear() % 100);
    case "Y":
      return String(date.getFullYear());
    case "z":
    case "Z":
      return "";
    case "%":
      return "%";
  }
  return undefined;
}

const DIRECTIVE = /%([-_0^#]*)(\d*)([EO]?)(.)/gsu;
/** Codes that are numbers, whose padding glibc's flags change, and codes that are words. */
const NUMBERS = "CdegGHIjklmMsSuUVwWyY";
const WORDS = "aAbBhp";
/** Codes that glibc takes with these modifiers, which change nothing in the C locale. */
const MODIFIED: Readonly<Record<string, string>> = {
  E: "cnprstuxyzCPRTXYZ",
  O: "bdeghjklmnprstuwyzBCGHIMPRSTUVWZ",
};

/** What glibc does not know stays as it is. */
function format(date: Date, text: string): string {
  return text.replace(DIRECTIVE, (all, flags: string, width: string, modifier: string, code: string) => {
    spend(8);
    if (modifier !== "" && !MODIFIED[modifier]!.includes(code)) return all;
    const plain = expand(date, code);
    if (flags === "" && width === "") return plain ?? all;
    if (width === "" && NUMBERS.includes(code)) {
      if (flags === "-") return plain!.replace(/^[0 ]+(?=\d)/, "");
      if (flags === "_") return plain!.replace(/^0+(?=\d)/, (zeros) => " ".repeat(zeros.length));
      if (flags === "0") return plain!.replace(/^ +/, (blanks) => "0".repeat(blanks.length));
    }
    if (width === "" && flags === "^" && WORDS.includes(code)) return plain!.toUpperCase();
    throw unsupported(`the directive ${all} of strftime`);
  });
}

/** @throws {JinjaError} Unsupported for flags and widths of glibc that we do not know */
export function strftime(date: Date, text: string): string {
  spendText(text.length * 16);
  return format(date, text);
}
