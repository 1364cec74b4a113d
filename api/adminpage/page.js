// The operators' page: what /admin/state and /admin/connections say, asked again each two seconds.
const interval = 2000;
const byId = (id) => document.getElementById(id);
const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });
const moment = (text) => (text ? when.format(new Date(text)) : '');

let after = '';
let shown = 0;

async function ask(path, body) {
  const response = await fetch(path, body === undefined ? {} : {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

function row(cells) {
  const tr = document.createElement('tr');
  for (const cell of cells) {
    const td = document.createElement('td');
    if (cell instanceof Node) td.append(cell);
    else td.textContent = cell;
    if (cell === 'away') td.className = 'away';
    tr.append(td);
  }
  return tr;
}

function bytes(n) { return n ? `${(n / 1048576).toFixed(1)} MiB` : '-'; }

function drawState(state) {
  byId('word').textContent = state.status;
  byId('word').className = state.status === 'ready' ? '' : 'away';
  const figures = {
    WebSockets: state.connections.websocket, 'Event streams': state.connections.sse, 'Newest batch': state.head,
    'Batches behind': state.behind, 'Numbers the log': state.leader ? 'yes' : 'no', 'Clock difference': `${state.clockOffsetMs.toFixed(1)} ms`,
    'Memory in use': bytes(state.memory.used), 'Memory limit': bytes(state.memory.limit), Version: state.version, Started: moment(state.started),
  };
  byId('figures').replaceChildren(...Object.entries(figures).map(([name, value]) => {
    const div = document.createElement('div');
    const dt = document.createElement('dt');
    const dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = value;
    div.append(dt, dd);
    return div;
  }));
  byId('parts').replaceChildren(...state.parts.map((p) => row([p.part, p.state, moment(p.since)])));
  byId('members').replaceChildren(...state.members.map((m) => row([m.id + (m.own ? ' (this one)' : ''), m.leader ? 'yes' : 'no', m.head, moment(m.heard)])));
}

function drawConnections(list, add) {
  const rows = list.map((c) => {
    const button = document.createElement('button');
    button.textContent = 'Disconnect';
    button.addEventListener('click', () => act(() => ask('disconnect', { connection: c.connection })));
    return row([c.connection, c.owner, c.user, c.transport, moment(c.since), button]);
  });
  if (add) byId('connections').append(...rows);
  else byId('connections').replaceChildren(...rows);
}

async function loadConnections(add) {
  const query = new URLSearchParams(new FormData(byId('filter')));
  if (add && after) query.set('after', after);
  const page = await ask(`connections?${query}`);
  drawConnections(page.connections, add);
  shown = add ? shown + page.connections.length : page.connections.length;
  after = page.next;
  byId('more').hidden = !after;
}

async function act(what) {
  try {
    await what();
    byId('problem').hidden = true;
  } catch (error) {
    byId('problem').textContent = error.message;
    byId('problem').hidden = false;
  }
}

byId('filter').addEventListener('submit', (event) => { event.preventDefault(); act(() => loadConnections(false)); });
byId('more').addEventListener('click', () => act(() => loadConnections(true)));
byId('disconnect').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  act(() => ask('disconnect', { [form.get('what')]: form.get('id') }));
});
byId('drain').addEventListener('submit', (event) => {
  event.preventDefault();
  if (confirm('Send everybody to other servers?')) act(() => ask('drain', {}));
});

async function tick() {
  await act(async () => {
    drawState(await ask('state'));
    if (shown <= 100 && !document.activeElement?.closest('#connections')) await loadConnections(false);
  });
  setTimeout(tick, interval);
}
tick();
