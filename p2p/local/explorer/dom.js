// Elements from code alone: whatever a node says becomes text or an attribute, never markup.

const SVG = 'http://www.w3.org/2000/svg'

export const el = (name, properties, ...children) => fill(document.createElement(name), properties, children)
export const svg = (name, properties, ...children) => fill(document.createElementNS(SVG, name), properties, children)

function fill (element, properties = {}, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'style') for (const [key, what] of Object.entries(value)) element.style.setProperty(key, what)
    else if (name === 'href') element.setAttribute('href', own(value))
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

// A link leads to a place of this page and nowhere else, whatever it was made from.
function own (href) {
  if (!href.startsWith('#')) throw new Error(`a link away from this page: ${href}`)
  return href
}

// A link to another program on this machine, which a testnet named.
export function beside (url, ...children) {
  if (!/^http:\/\/127\.0\.0\.1:\d{1,5}\/$/.test(url)) throw new Error(`a link away from this machine: ${url}`)
  const element = el('a', { target: '_blank', rel: 'noreferrer' }, ...children)
  element.setAttribute('href', url)
  return element
}

export const link = (place, ...children) => el('a', { href: placeOf(place) }, ...children)

export const placeOf = (parts) => '#/' + parts.map(encodeURIComponent).join('/')

// A table with a name, headings for its columns, and a row for each item; `columns` are [heading, cell, class].
export function table (caption, columns, items, { empty = 'None.', isQuiet = false, key = null } = {}) {
  if (!items.length) return el('p', { class: 'quiet' }, empty)
  const rows = items.map((item) => el('tr', { 'data-key': key && key(item) }, columns.map(([heading, cell, kind], at) => {
    return el(at ? 'td' : 'th', { scope: at ? null : 'row', class: kind, 'data-label': heading }, cell(item))
  })))
  return el('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: '0' },
    el('table', {}, el('caption', { class: isQuiet ? 'hidden' : null }, caption),
      el('thead', {}, el('tr', {}, columns.map(([heading, , kind]) => el('th', { scope: 'col', class: kind }, heading)))),
      el('tbody', {}, rows)))
}

export function section (title, ...children) {
  const id = 's-' + title.toLowerCase().replace(/[^a-z]+/g, '-')
  return el('section', { 'aria-labelledby': id, class: 'card' }, el('h2', { id }, title), ...children)
}

// What is said of a thing, as pairs.
export function facts (pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))))
}

// Puts content in the place of other content, and leaves the focus where it was.
export function replace (place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement.closest('[data-key]')?.dataset.key : null
  const scrolled = [...place.querySelectorAll('.scroll')].map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop])
  place.replaceChildren(...children.flat(Infinity).filter(Boolean))
  place.querySelectorAll('.scroll').forEach((each, at) => { if (scrolled[at]) [each.scrollLeft, each.scrollTop] = scrolled[at] })
  if (focused) {
    const found = place.querySelector(`[data-key="${CSS.escape(focused)}"]`)
    ;(found?.matches('a, button, [tabindex]') ? found : found?.querySelector('a'))?.focus({ preventScroll: true })
  }
}
