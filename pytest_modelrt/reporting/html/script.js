(() => {
  'use strict';
  const form = document.querySelector('.filters');
  const out = form.querySelector('output');
  const body = document.querySelector('.cases tbody');
  const rows = [...body.children];
  const sections = [...document.querySelectorAll('details.case')];
  const texts = new Map(rows.map(r => [r, r.textContent.toLowerCase()]));
  const keep = (element, text, wanted) =>
    text.includes(wanted.q) && Object.entries(wanted.sets).every(([key, value]) => !value || element.dataset[key] === value);
  const more = document.querySelector('template.more');
  const wake = () => {
    if (!more || !more.isConnected) return;
    const added = [...more.content.children];
    body.append(...added);
    rows.push(...added);
    for (const row of added) texts.set(row, row.textContent.toLowerCase());
    more.remove();
    document.querySelector('p.more').remove();
  };
  const apply = () => {
    const values = new FormData(form);
    const wanted = {q: values.get('q').trim().toLowerCase(), sets: {}};
    for (const [key, value] of values) if (key !== 'q') wanted.sets[key] = value;
    let shown = 0;
    for (const row of rows) { const on = keep(row, texts.get(row), wanted); row.hidden = !on; shown += on; }
    for (const s of sections) s.hidden = !keep(s, s.firstElementChild.textContent.toLowerCase(), wanted);
    out.textContent = shown === rows.length ? `${rows.length} cases` : `${shown} of ${rows.length} cases`;
  };
  form.addEventListener('input', () => { wake(); apply(); });
  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(apply));
  for (const button of document.querySelectorAll('[data-filter]')) button.addEventListener('click', () => {
    const select = form.elements[button.dataset.filter];
    form.reset();
    select.value = button.dataset.value;
    wake();
    apply();
    document.getElementById('cases').scrollIntoView();
    select.focus({preventScroll: true});
  });
  const key = (row, column) => { const cell = row.children[column]; return 's' in cell.dataset ? +cell.dataset.s : cell.textContent.toLowerCase(); };
  document.querySelectorAll('.sort').forEach((button, column) => button.addEventListener('click', () => {
    const head = button.closest('th');
    const up = head.getAttribute('aria-sort') !== 'ascending';
    for (const other of head.parentNode.children) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const sorted = rows.map(row => [key(row, column), row]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1));
    body.append(...sorted.map(([, row]) => row));
  }));
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || target.tagName !== 'DETAILS') return;
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
    target.firstElementChild.focus({preventScroll: true});
  };
  addEventListener('hashchange', open);
  document.addEventListener('click', event => {
    const link = event.target.closest && event.target.closest('a[href^="#"]');
    if (link && link.getAttribute('href') === location.hash) open();
  });
  for (const box of document.querySelectorAll('.copy')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      const text = box.querySelector('pre').textContent;
      try { await navigator.clipboard.writeText(text); button.textContent = 'Copied'; }
      catch { getSelection().selectAllChildren(box.querySelector('pre')); button.textContent = 'Selected'; }
    });
    box.append(button);
  }
  if (more) document.querySelector('p.more button').addEventListener('click', () => { wake(); apply(); });
  apply();
  open();
})();
