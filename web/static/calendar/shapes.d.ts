/** What `GET …/calendar` answers, and what the calendar needs from around it. */
import type { WebSocketManager } from '../types.js';
import type { Wording, Zone } from '../shapes.js';

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
/** One booking's dialog, the owner's REST answers, and the moment. */
export interface Around {
  wording: Wording;
  frame: HTMLElement;
  /** The server's origin. */
  server: string;
  get(part: string): Promise<any>;
  open(bookingId: string): void;
  now(): number;
  /** Whether updates are paused. */
  paused?(): boolean;
}
export type Words = Record<string, string>;
export interface View { node: HTMLElement; follow(manager: WebSocketManager): void; tick(): void; stop(): void }
export type { Zone };
