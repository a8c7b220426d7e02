// The page: which view is shown, the search, and the mark of how far all of it was checked.

import { CHECKED, HEARD, WRONG } from './check/findings.js'
import { giveWay } from './check/pace.js'
import { el, replace } from './dom.js'
import { Live } from './live.js'
import { find } from './search.js'
import { tellsSwitches } from './testnet.js'
import { count } from './words.js'
import * as chain from './view/chain.js'
import * as blocks from './view/blocks.js'
import * as block from './view/block.js'
import * as transaction from './view/transaction.js'
import * as members from './view/members.js'
import * as who from './view/who.js'
import * as offices from './view/offices.js'
import * as motions from './view/motions.js'
import * as network from './view/network.js'
import * as trust from './view/trust.js'
import * as search from './view/search.js'

// By the first part of what stands after #/; those with a title have a tab.
const VIEWS = {
  '': chain, blocks, members, offices, motions, network, trust, block, tx: transaction, who, search
}
const TABS = [['', 'Chain'], ['blocks', 'Blocks'], ['members', 'Members'], ['offices', 'Offices'], ['motions', 'Rules'], ['network', 'Network'], ['trust', 'Checked']]
const UNDER = { block: 'blocks', tx: 'blocks', who: 'members', search: null }
const ANNOUNCE_MS = 15_000

const place = (id) => document.getElementById(id)
const live = new Live(new URLSearchParams(location.search).getAll('node').filter((url) => /^https?:\/\/[^/]+$/.test(url)))
let shown = null // the view that is open
let turn = 0 // so that a slow answer does not overwrite what was opened since

function route () {
  const [name, ...rest] = location.hash.replace(/^#\/?/, '').split('/').map(decode)
  return VIEWS[name] ? { name, rest } : { name: 'search', rest: [name] }
}

function decode (text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function open () {
  const mine = ++turn
  const { name, rest } = route()
  shown?.close?.()
  shown = null
  tabs(name)
  const main = el('div', { class: 'view' })
  const context = { live, people: live.people, node: live.node, isOpen: () => mine === turn }
  try {
    const view = await VIEWS[name].open(context, main, ...rest)
    await giveWay() // to make it is one task, to lay it out another
    if (mine !== turn) return view?.close?.()
    shown = view
  } catch (error) {
    if (mine !== turn) return
    if (error.status === undefined) console.error(error)
    main.replaceChildren(el('h1', {}, 'This could not be shown'), el('p', {}, error.status === undefined ? 'The node said something that this page does not understand.' : error.message))
  }
  place('main').replaceChildren(main)
  document.title = `${main.querySelector('h1')?.textContent ?? 'Goodfaith'} · Goodfaith explorer`
  if (document.activeElement === document.body || document.activeElement?.closest('nav, #main, #search')) place('main').focus({ preventScroll: true })
  scrollTo(0, 0)
  shown?.shown?.()
}

function tabs (name) {
  const current = name in UNDER ? UNDER[name] : name
  replace(place('tabs'), TABS.map(([to, title]) => el('a', { href: `#/${to}`, 'aria-current': to === current ? 'page' : null, 'data-key': to }, title)))
}

const MARKS = { [CHECKED]: ['✓', 'Checked'], [HEARD]: ['○', 'Heard only'], [WRONG]: ['!', 'Wrong'] }

function mark () {
  const { findings, follower } = live
  const state = findings.found.size ? findings.worst : HEARD
  const [sign, word] = MARKS[state]
  const detail = state === WRONG ? '' : follower && !live.isHopeless ? ` to ${count(follower.votes.height)}` : ''
  const badge = place('trust')
  badge.className = `trust ${state}`
  replace(badge, el('span', { 'aria-hidden': 'true' }, sign), ` ${live.findings.found.size ? word + detail : 'Checking…'}`)
  const wrong = findings.wrong[0]
  const alarm = place('alarm')
  alarm.hidden = !wrong && !live.isAway
  const text = wrong ? `What this node says cannot be right: ${wrong.what}: ${wrong.detail}` : 'The node does not answer; what is shown is what it said last.'
  if (!alarm.hidden && alarm.textContent !== text) alarm.textContent = text
}

let announced = 0

function announce () {
  const { status, finalized } = live
  if (!status) return
  place('network').textContent = status.network
  place('source').textContent = `Node ${status.version}, protocol ${status.protocol}, chain ${status.chain_id}`
  if (Date.now() - announced < ANNOUNCE_MS) return
  announced = Date.now()
  place('live').textContent = `Height ${count(status.height)}, final ${count(finalized.height)}.`
}

for (const what of ['status', 'blocks', 'trust', 'mempool', 'news', 'others']) {
  live.addEventListener(what, () => {
    mark()
    announce()
    shown?.update?.(what)
  })
}

place('search').addEventListener('submit', async (event) => {
  event.preventDefault()
  const sought = place('sought').value.trim()
  if (!sought) return
  const found = await find(live, sought)
  location.hash = found ?? `#/search/${encodeURIComponent(sought)}`
})
addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.matches('input, textarea')) return
  event.preventDefault()
  place('sought').focus()
})
addEventListener('hashchange', () => tellsSwitches() ? location.reload() : open())

tabs(route().name)
try {
  await live.start()
} catch (error) {
  if (error.status === undefined) console.error(error)
  live.isAway = true
  mark()
}
await open()
