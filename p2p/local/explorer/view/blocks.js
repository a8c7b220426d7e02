// All blocks of the main chain, the newest first; only those in view are asked for and drawn.

import { el, link } from '../dom.js'
import { count, short, time } from '../words.js'

const ROW = 40
const PAGE = 100
const SPARE = 8
const MAX_PAGES = 24
// Browsers draw nothing beyond some millions of pixels; a longer chain is scrolled in larger steps.
const MAX_PIXELS = 8_000_000

export async function open ({ live, people, node, isOpen }, main) {
  const head = () => live.status?.height ?? 0
  const list = new List(people, node, isOpen, head)
  main.append(el('h1', {}, 'Blocks'), list.top, list.box)
  return { update: (what) => what === 'blocks' && list.draw(), shown: () => list.draw() }
}

class List {
  constructor (people, node, isOpen, head) {
    Object.assign(this, { people, node, isOpen, head })
    this.pages = new Map() // first height -> blocks, or null while they are asked for
    this.inner = el('div', { class: 'rows', role: 'rowgroup' })
    this.box = el('div', { class: 'long', tabindex: '0', role: 'table', 'aria-label': 'Blocks, the newest first' },
      el('div', { class: 'line heading', role: 'row', 'aria-rowindex': '1' }, ['Height', 'Slot', 'Time', 'By', 'Transactions', 'Id', 'State'].map((name) => el('span', { role: 'columnheader' }, name))),
      this.inner)
    this.top = el('p', { class: 'quiet' })
    this.box.addEventListener('scroll', () => this.draw(), { passive: true })
  }

  draw () {
    const total = this.head()
    this.top.textContent = `${count(total)} blocks; the list follows the chain.`
    const pixels = Math.min(total * ROW, MAX_PIXELS)
    this.inner.style.setProperty('height', `${pixels}px`)
    this.box.setAttribute('aria-rowcount', String(total + 1))
    const room = Math.ceil(this.box.clientHeight / ROW)
    const most = Math.max(1, pixels - this.box.clientHeight)
    const share = Math.min(1, this.box.scrollTop / most)
    const first = total * ROW <= MAX_PIXELS ? Math.floor(this.box.scrollTop / ROW) : Math.round(share * Math.max(0, total - room))
    const from = Math.max(0, first - SPARE)
    const rows = []
    for (let at = from; at < Math.min(total, first + room + SPARE); at++) rows.push(this.row(total - at, at, this.box.scrollTop - (first - at) * ROW - (total * ROW <= MAX_PIXELS ? this.box.scrollTop % ROW : 0)))
    this.inner.replaceChildren(...rows)
  }

  row (height, at, top) {
    const block = this.block(height)
    const cells = block
      ? [link(['block', block.id], count(height)), count(block.slot), time(block.time), this.people.link(block.proposer), block.transaction_count === null ? 'unknown' : count(block.transaction_count), link(['block', block.id], short(block.id)), block.final ? '✓ final' : '']
      : [count(height), '', '…', '', '', '', '']
    return el('div', { class: 'line', role: 'row', 'aria-rowindex': String(at + 2), style: { transform: `translateY(${top}px)` } }, cells.map((cell, at) => el('span', { role: at ? 'cell' : 'rowheader' }, cell)))
  }

  block (height) {
    const page = height - (height - 1) % PAGE
    const found = this.pages.get(page)?.find((block) => block.height === height)
    if (!this.pages.has(page) || (this.pages.get(page) && !found)) this.fetch(page)
    return found
  }

  async fetch (page) {
    if (this.pages.get(page) === null) return
    this.pages.set(page, null)
    while (this.pages.size > MAX_PAGES) this.pages.delete(this.pages.keys().next().value)
    try {
      const { blocks } = await this.node.json(`/blocks?from=${page}&limit=${PAGE}`)
      this.pages.set(page, blocks)
    } catch {
      this.pages.delete(page)
      return
    }
    if (this.isOpen()) this.draw()
  }
}
