/** What `GET …/calendar` answers, and what the calendar needs from around it. */
import type { Around, LazyView, Views, Wording as PageWording } from '../shapes.js';

export interface Day { date: string; start: string; hours: number; spaces: number; nights: number; arrivals: number; departures: number }
export interface Hangar {
  hangarId: string; hangarNumber: string; icaoCode: string; spaces: number; published: boolean;
  nights: number[]; arrivals: number[]; departures: number[]; over: number[];
}
export interface Stay {
  bookingId: string; hangarId: string; lane: number; status: string; guestName: string; checkInDate: string; checkOutDate: string;
  amount: number; paid: boolean; cutLeft: boolean; cutRight: boolean;
}
export interface Uncertain { bookingId: string; hangarId: string; status: string; guestName: string; checkInDate: string | null; checkOutDate: string | null }
export interface Page {
  timezone: string; today: string; from: string; to: string; asOf: string; precision: 'instant' | 'date';
  days: Day[]; hangars: Hangar[]; stays: Stay[]; counted: string[]; uncertain: { count: number; stays: Uncertain[] };
  gone?: string[]; next: string | null;
}
/** The page's words with those of the calendar. */
export interface Wording extends Omit<PageWording, 'words' | 'say' | 'sayMany'> {
  words: Omit<PageWording['words'], keyof Views['calendar']> & Views['calendar'];
  say(name: keyof Wording['words'], values?: Record<string, string | number>): string;
  sayMany(name: keyof Wording['words'], n: number, values?: Record<string, string | number>): string;
}
/** With those of feeds too. */
export interface FeedWording extends Omit<Wording, 'words' | 'say'> {
  words: Omit<Wording['words'], keyof Views['feeds']> & Views['feeds'];
  say(name: keyof FeedWording['words'], values?: Record<string, string | number>): string;
}
/** What the parts of the calendar share. */
export interface Tools extends Omit<Around, 'wording'> {
  wording: Wording;
  /** Shows another window: so many of its lengths later, or from a date on, empty for today. */
  move(by: number): void;
  go(date: string): void;
  /** Uses what is shown of a day, once it is loaded. */
  day(call: (made: typeof import('./day.js')) => unknown): void;
}
export interface Row { node: HTMLElement; parts: HTMLElement[]; update(differing: string[]): void }
/** What changed in the window, asked by one tab at a time. */
export interface Changes {
  /** An event named a booking. */
  add(bookingId: string, event: string): void;
  /** The window is doubtful as a whole. */
  reload(): void;
  /** The window is being loaded: what was named before is in it. */
  loading(): void;
  /** Asks for what is pending, unless that happens already. */
  ask(): Promise<void>;
  stop(): void;
}
/**
 * `name` is that of the channel and the lock which the tabs share; empty where a tab is alone.
 * `pages` are the paths of what is shown. `take` brings answers into it, and returns whether it
 * could. While `isQuiet` nothing is asked.
 */
export type NewChanges = (name: string, around: {
  pages(ids?: string[]): string[]; get(path: string): Promise<Page>; isQuiet(): boolean; take(answers: Page[], ids: string[]): boolean; load(): Promise<void>;
}) => Changes;
export type { Around, LazyView as View };
