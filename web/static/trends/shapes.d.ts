/** What `GET …/trends` answers, and what its charts are drawn from. */
import type { Around, LazyView, Views, Wording as PageWording } from '../shapes.js';

export type { Around, LazyView };
export type Interval = 'hour' | 'day' | 'week' | 'month';
export type Metric = 'revenue' | 'bookings' | 'cancelled' | 'occupancy' | 'averageStay' | 'arrivals';
/** By bucket; null is unknown, and never 0. */
export type Series = Record<Metric, (number | null)[]>;

export interface Bucket {
  /** RFC 3339 with the zone's offset. */
  start: string;
  end: string;
  seconds: number;
  complete: boolean;
}
export interface Total { value: number | null; before: number | null; /** Percent, null without a base. */ change: number | null }
export interface Answer {
  timezone: string; interval: Interval; from: string; to: string; asOf: string;
  buckets: Bucket[]; series: Series; before?: Partial<Series> | null; totals: Record<Metric, Total>;
  since?: { occupancy?: string | null };
}

export type Preset = 'today' | '7' | '30' | '90' | '12' | 'own';
export type Compare = 'before' | 'weekday' | 'year' | 'none';
/** What a person chose, and what the address keeps of it. */
export interface Choice {
  preset: Preset;
  compare: Compare;
  table: boolean;
  /** The id of one hangar; empty for all. */
  hangar: string;
  /** The last range of one's own. */
  own: Range | null;
}
export interface Range { interval: Interval; from: string; /** Exclusive. */ to: string }

export interface ChartKind {
  metric: Metric;
  hue: string;
  /** Drawn downwards, below the axis. */
  below?: Metric;
  /** A line within 0 and 100 percent, and no bars. */
  line?: boolean;
}
/** The page's words with those of the trends, to which later modules add theirs. */
export interface Wording extends Omit<PageWording, 'words' | 'say'> {
  words: Omit<PageWording['words'], keyof Views['trends']> & Views['trends'];
  say(name: keyof Wording['words'], values?: Record<string, string | number>): string;
}

/** How numbers are written, by metric. */
export interface Formats extends Record<Metric, (value: number) => string> {
  /** Money beside an axis, in few letters. */
  money(value: number): string;
  /** A value, or that it is not known. */
  valueOf(metric: Metric, value: number | null | undefined): string;
  changeOf(metric: Metric, total: Total): string;
  /** A bucket's name below an axis. */
  shortOf(answer: Answer, bucket: Bucket): string;
}
/** A bucket's name. */
export type NameOf = (bucket: Bucket) => string;

/** Where a total and its change are written. */
export interface Figure { metric: Metric; total: HTMLElement; change: HTMLElement }
export interface Chart extends Figure {
  below?: Metric;
  line?: boolean;
  node: HTMLElement;
  plot: HTMLElement;
  svg: SVGElement;
  /** Where buckets begin, how wide each is, and where the lowest one ends. */
  left: number;
  slot: number;
  bottom: number;
  x(bucket: number): number;
  y(value: number): number;
  /** `current` is the bucket that is under way, `names` are those below the axis. */
  draw(answer: Answer, current: number, names: string[]): void;
}

/** What the modules of the trends share. */
export interface View {
  around: Around;
  wording: Wording;
  formats: Formats;
  charts: Chart[];
  node: HTMLElement;
  body: HTMLElement;
  button(text: string, onclick: (event: Event) => void, props?: object): HTMLElement;
  choice: Choice;
  data: Answer | null;
  /** The bucket that is under way, or -1. */
  current: number;
  /** Another number with each window that is asked for. */
  turn: number;
  /** By `performance.now()`. */
  loadedAt: number;
  /** What the window shows: hangar and days. */
  span: string;
  today(): string;
  path(range?: Range): string;
  choose(change: Partial<Choice>): void;
  draw(): void;
  drawTotal(figure: Figure): void;
  fail(): void;
  load(): Promise<void>;
}
export interface Controls {
  draw(): void;
  /** Keeps the choice in the page's address, where that is wanted. */
  keep(): void;
  /** The hangar that is chosen, before days; empty for all. */
  place(): string;
  /** Once a second: a bucket may have begun. */
  tick(): void;
  stop(): void;
}
export interface Live {
  /** Numbers changed. */
  change(): void;
  /** The whole window was loaded. */
  loaded(): void;
  tick(): void;
  stop(): void;
}
/** What is loaded when it is used. */
export interface Extras {
  table(): HTMLElement;
  save(path: string): Promise<void>;
  days(room: HTMLElement): void;
  explain(details: HTMLElement): void;
}
