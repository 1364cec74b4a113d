/** What `GET …/trends` answers, and what its charts are drawn from. */
import type { Around, LazyView, Wording } from '../shapes.js';

export type { Around, LazyView, Wording };
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
  /** The first and the last day of a range of one's own, like 2026-03-01. */
  first: string;
  last: string;
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
export type Words = Record<string, string>;

/** Words, numbers and names as all parts write them. */
export interface Tools {
  words: Words;
  /** A text with its places filled in. */
  fill(text: string, values: Record<string, string | number>): string;
  format: Record<Metric, (value: number) => string>;
  /** A value, or that it is not known. */
  valueOf(metric: Metric, value: number | null | undefined): string;
  changeOf(metric: Metric, value: number | null, before: number | null, change: number): string;
  nameOf(bucket: Bucket): string;
  /** The same below an axis. */
  shortOf(bucket: Bucket): string;
  formatCount(value: number): string;
  /** Money beside an axis, in few letters. */
  axisMoney(value: number): string;
}
