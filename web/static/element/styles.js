/** The element's style sheet, constructed once per page: nothing inline, nothing leaks in or out. */
export const styles = `
:host {
  display: block;
  container-type: inline-size;
  color-scheme: light dark;
  --ink: #111827; --soft: #4b5563; --line: #e5e7eb; --surface: #fff; --hover: #f9fafb; --sunken: #f3f4f6; --accent: #1e40af;
  --blue: #1e40af; --blue-bg: #eff6ff; --blue-line: #dbeafe;
  --purple: #6b21a8; --purple-bg: #faf5ff; --purple-line: #f0e2fe;
  --green: #166534; --green-bg: #f0fdf4; --green-line: #d3f3de;
  --orange: #9a3412; --orange-bg: #fff7ed; --orange-line: #fee5c8;
  --shadow: 0 1px 2px rgb(17 24 39 / .05), 0 4px 16px rgb(17 24 39 / .04);
  color: var(--ink);
  font: 400 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
@media (prefers-color-scheme: dark) {
  :host {
    --ink: #f3f4f6; --soft: #a7b0be; --line: #263042; --surface: #111827; --hover: #182133; --sunken: #1f2937; --accent: #93c5fd;
    --blue: #93c5fd; --blue-bg: #111827; --blue-line: #24385e;
    --purple: #d8b4fe; --purple-bg: #111827; --purple-line: #43305f;
    --green: #86efac; --green-bg: #111827; --green-line: #1e4a35;
    --orange: #fdba74; --orange-bg: #111827; --orange-line: #573a22;
    --shadow: none;
  }
}
* { box-sizing: border-box; margin: 0; padding: 0; }
[hidden] { display: none !important; }
ul, ol { list-style: none; }
h2 { font-size: 1.125rem; font-weight: 650; letter-spacing: -.01em; }
h3, .top h2 { font-size: .9375rem; font-weight: 600; letter-spacing: 0; }
.sr { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.frame { position: relative; display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem; }
.icon { inline-size: 1.25rem; block-size: 1.25rem; flex: none; fill: none; stroke: currentColor; stroke-width: 1.9;
  stroke-linecap: round; stroke-linejoin: round; }

.bar { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .75rem 1rem; align-items: center; }
.bar ::slotted([slot=heading]) { grid-column: 1 / -1; }
.status { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; min-block-size: 2.25rem; font-size: .9375rem; }
.pill { display: inline-flex; align-items: center; gap: .5rem; padding: .3rem .8rem .3rem .65rem; border-radius: 1rem;
  border: 1px solid var(--tone-line); background: var(--tone-bg); color: var(--tone); font-weight: 600; }
.dot { inline-size: .6rem; block-size: .6rem; border-radius: 50%; flex: none; border: .15rem solid currentColor; }
.status { --tone: var(--soft); --tone-bg: var(--sunken); --tone-line: var(--line); }
.status[data-tone=live] { --tone: var(--green); --tone-bg: var(--green-bg); --tone-line: var(--green-line); }
.status[data-tone=live] .dot { background: currentColor; }
.status[data-tone=warn] { --tone: var(--orange); --tone-bg: var(--orange-bg); --tone-line: var(--orange-line); }
.status[data-tone=warn] .dot { border-radius: .1rem; rotate: 45deg; }
.status[data-tone=down] { --tone: var(--ink); }
.status[data-tone=down] .dot { border-radius: 0; }
.status .detail { color: var(--soft); }

button { font: inherit; color: inherit; cursor: pointer; border-radius: .625rem; }
button:disabled { cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.reconnect { display: inline-flex; align-items: center; gap: .5rem; min-block-size: 2.25rem; padding: .25rem .875rem;
  border: 1px solid var(--line); background: var(--surface); font-size: .9375rem; font-weight: 550; }
.reconnect .icon { inline-size: 1.05rem; block-size: 1.05rem; color: var(--soft); }
.reconnect:hover, .quiet:hover:enabled { background: var(--sunken); }
.quiet { border: 0; background: none; min-block-size: 2rem; padding: .25rem .625rem; font-size: .875rem; font-weight: 550; color: var(--accent); }
.quiet:disabled { color: var(--soft); }

.cards { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 1rem; }
.card { position: relative; overflow: hidden; padding: 1.125rem 1.25rem 1rem; border-radius: 1rem; box-shadow: var(--shadow);
  color: var(--hue); background: var(--hue-bg); border: 1px solid var(--hue-line); display: flex; flex-direction: column; }
.blue { --hue: var(--blue); --hue-bg: var(--blue-bg); --hue-line: var(--blue-line); }
.purple { --hue: var(--purple); --hue-bg: var(--purple-bg); --hue-line: var(--purple-line); }
.green { --hue: var(--green); --hue-bg: var(--green-bg); --hue-line: var(--green-line); }
.orange { --hue: var(--orange); --hue-bg: var(--orange-bg); --hue-line: var(--orange-line); }
.top { display: flex; align-items: flex-start; justify-content: space-between; gap: .5rem; min-block-size: 2.75rem; }
.top h2 { line-height: 1.3; text-wrap: balance; }
.chip { display: grid; place-items: center; inline-size: 2.25rem; block-size: 2.25rem; flex: none; border-radius: .7rem;
  background: var(--hue-line); }
.value { margin-block: .375rem .5rem; font-size: clamp(1.5rem, 2.9cqi, 2.125rem); line-height: 1.15; font-weight: 700; letter-spacing: -.025em;
  white-space: nowrap; }
.line { margin-block-start: auto; font-size: .9375rem; font-weight: 500; color: var(--ink); }
.basis { font-size: .8125rem; color: var(--soft); }
.gauge { block-size: .375rem; margin-block-end: .625rem; border-radius: .2rem; background: var(--hue-line); overflow: hidden; }
.gauge i { display: block; block-size: 100%; border-radius: inherit; background: currentColor;
  transform-origin: left; transform: scaleX(var(--filled, 0)); transition: transform .5s ease-out; }
.card.changed::after, .tile.changed::after, .row.changed::after { content: ""; position: absolute; inset: 0; pointer-events: none;
  background: var(--hue, var(--accent)); opacity: 0; animation: tint 1.1s ease-out; }
@keyframes tint { from { opacity: .16; } to { opacity: 0; } }
.cards.frozen .card { background: var(--surface); border-style: dashed; }
.cards.frozen .value { opacity: .82; }

.loading .value, .loading .line, .loading dd { position: relative; color: transparent; }
.loading .value::after, .loading .line::after, .loading dd::after { content: ""; position: absolute; inset: .15em auto .15em 0; inline-size: 60%;
  border-radius: .4rem; background: var(--hue-line, var(--line)); }
.loading .line::after { inline-size: 80%; }
.loading .rows { min-block-size: 15rem; border-radius: .6rem; background: repeating-linear-gradient(var(--sunken) 0 2.75rem, transparent 2.75rem 3.75rem); }
.loading .tiles { min-block-size: 5.25rem; border-radius: .75rem; background: var(--sunken); }

.facts { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); border: 1px solid var(--line); border-radius: 1rem;
  background: var(--surface); box-shadow: var(--shadow); }
.fact { padding: .875rem 1.25rem; }
.fact + .fact { border-inline-start: 1px solid var(--line); }
.facts dt { font-size: .875rem; color: var(--soft); }
.facts dd { font-size: 1.125rem; font-weight: 650; letter-spacing: -.01em; }

.panel { border: 1px solid var(--line); border-radius: 1rem; background: var(--surface); box-shadow: var(--shadow); padding: 1rem 1.25rem 1.125rem; }
.panel header, .notices > header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; min-block-size: 2rem; }
.panel header { margin-block-end: .625rem; }
.aside { font-size: .875rem; color: var(--soft); margin-inline-start: auto; }
.empty { padding: 1.5rem .5rem; color: var(--soft); text-align: center; text-wrap: balance; }

.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15.5rem, 100%), 1fr)); gap: .625rem; }
.tile { position: relative; overflow: hidden; display: flex; gap: .75rem; padding: .7rem .8rem; border-radius: .75rem; border: 1px solid var(--line);
  --hue: var(--soft); }
.tile > .icon { margin-block-start: .125rem; color: var(--hue); }
.tile > div { flex: 1; min-inline-size: 0; }
.tile p { display: flex; justify-content: space-between; gap: .5rem; }
.tile strong { font-weight: 650; overflow-wrap: anywhere; }
.tile span { display: block; }
.tile .place { font-size: .8125rem; color: var(--soft); }
.tile .guest { font-size: .875rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.tile .state { flex: none; font-size: .8125rem; font-weight: 600; color: var(--hue); }
.tile.occupied { --hue: var(--green); background: var(--green-bg); border-color: var(--green-line); }
.tile.closed { border-style: dashed; }

.notices { display: grid; grid-template-columns: minmax(0, 1fr); gap: .75rem; }
.badge { padding: .1rem .6rem; border-radius: 1rem; font-size: .8125rem; font-weight: 600; color: var(--soft); background: var(--sunken); }
.badge.some { color: var(--surface); background: var(--accent); }
.actions { margin-inline-start: auto; display: flex; flex-wrap: wrap; }
.columns { display: grid; grid-template-columns: minmax(0, 1.6fr) minmax(0, 1fr); gap: 1rem; align-items: start; }
.list { min-block-size: 20rem; display: flex; flex-direction: column; }
.list .empty { margin-block: auto; padding-block: 1rem 3rem; }
.fresh { min-block-size: 1.75rem; padding: 0 .75rem; border: 0; border-radius: 1rem; font-size: .8125rem; font-weight: 600;
  color: var(--surface); background: var(--accent); }
.row { position: relative; display: grid; grid-template-columns: auto minmax(0, 1fr) auto 1.75rem; gap: 0 .75rem; align-items: center;
  min-block-size: 3.75rem; padding-block: .5rem; border-block-start: 1px solid var(--line); --hue: var(--soft); }
.row:first-child { border-block-start: 0; }
.sign { display: grid; place-items: center; inline-size: 2.25rem; block-size: 2.25rem; border-radius: 50%; color: var(--hue);
  background: var(--sunken); background: color-mix(in srgb, var(--hue) 12%, transparent); }
.sign .icon { inline-size: 1.1rem; block-size: 1.1rem; }
.sign-new { --hue: var(--purple); } .sign-money { --hue: var(--blue); } .sign-ok, .sign-in { --hue: var(--green); }
.sign-cancel, .sign-out { --hue: var(--orange); }
.what p { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.what strong { font-size: .9375rem; font-weight: 550; }
.tag { display: inline-block; white-space: nowrap; margin-inline-start: .5rem; font-size: .8125rem; font-weight: 550; padding: .05rem .4rem; border-radius: .35rem; color: var(--soft); background: var(--sunken); }
.row .detail { font-size: .875rem; color: var(--soft); }
.much { text-align: end; font-size: .875rem; }
.amount { display: block; font-size: .9375rem; font-weight: 600; }
.struck .amount { text-decoration: line-through; color: var(--soft); }
.row time { color: var(--soft); font-size: .8125rem; white-space: nowrap; }
.unread .what strong { font-weight: 700; }
.mark { inline-size: 1.75rem; block-size: 1.75rem; border: 0; background: none; display: grid; place-items: center; }
.mark::after { content: ""; inline-size: .6rem; block-size: .6rem; border-radius: 50%; background: var(--accent); }
.mark:hover { background: var(--sunken); }
.mark.gone { visibility: hidden; }
.more { inline-size: 100%; margin-block-start: .5rem; }

@container (max-width: 60rem) {
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .value { font-size: clamp(1.375rem, 6cqi, 2.125rem); }
  .columns { grid-template-columns: minmax(0, 1fr); }
}
@container (max-width: 36rem) {
  .frame { gap: 1rem; }
  .cards { gap: .75rem; }
  .card { padding: .875rem 1rem .8rem; }
  .card.blue, .card.orange { grid-column: 1 / -1; }
  .top { min-block-size: 2.5rem; }
  .top h2 { font-size: .875rem; }
  .chip { inline-size: 2rem; block-size: 2rem; border-radius: .6rem; }
  .value { font-size: 1.625rem; margin-block: .125rem .375rem; }
  .blue .value { font-size: 2rem; }
  .line { font-size: .875rem; }
  .purple .line, .green .line { min-block-size: 2.9em; }
  .status { align-content: center; min-block-size: 4.5rem; font-size: .875rem; }
  .status .pill { padding-inline: .55rem .65rem; }
  .status .detail { flex-basis: 100%; }
  .reconnect { font-size: 0; gap: 0; inline-size: 2.75rem; min-block-size: 2.75rem; padding: 0; justify-content: center; }
  .reconnect .icon { inline-size: 1.25rem; block-size: 1.25rem; }
  .facts { grid-template-columns: minmax(0, 1fr); }
  .fact { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; padding: .7rem 1rem; }
  .fact + .fact { border-inline-start: 0; border-block-start: 1px solid var(--line); }
  .facts dt { white-space: nowrap; }
  .facts dd { font-size: 1rem; text-align: end; }
  .loading dd { flex: 0 1 8rem; }
  .loading dd::after { inset-inline: auto 0; }
  .loading .tiles { min-block-size: 17.5rem; }
  .panel { padding: .875rem 1rem; }
  .hangars { min-block-size: 22rem; }
  .list { min-block-size: 11rem; }
  .actions { margin-inline-start: -.625rem; flex-basis: 100%; }
  .quiet, .fresh { min-block-size: 2.75rem; }
  .row { grid-template-columns: auto minmax(0, 1fr); align-items: start; padding-block: .75rem; }
  .what p { white-space: normal; overflow-wrap: anywhere; }
  .what p:first-child { display: flex; flex-wrap: wrap; gap: 0 .5rem; align-items: center; padding-inline-end: 1.75rem; }
  .tag { margin: 0; }
  .much { grid-column: 2; display: flex; justify-content: space-between; gap: .75rem; align-items: baseline; margin-block-start: .125rem; }
  .mark { position: absolute; inset: .125rem -.625rem auto auto; inline-size: 2.75rem; block-size: 2.75rem; }
}
@container (max-width: 16rem) { .cards { grid-template-columns: minmax(0, 1fr); } .card { grid-column: 1; } }
@media (prefers-contrast: more) { :host { --soft: var(--ink); --line: currentColor; } }
@media (forced-colors: active) {
  .card, .panel, .facts, .pill, .tile { border-color: CanvasText; }
  .dot, .mark::after, .gauge i { forced-color-adjust: none; background: CanvasText; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::after { animation: none !important; transition: none !important; }
}
@media print {
  .reconnect, .actions, .mark, .fresh, .more { display: none !important; }
  .panel, .card, .facts { box-shadow: none; break-inside: avoid; }
}
`;
