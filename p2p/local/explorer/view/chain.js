// The chain as it grows: the tree, how blocks become final, what happened, and how fast it goes.

import { line } from '../chart.js'
import { didOf, unhex } from '../check/bytes.js'
import { el, link, replace, section, table } from '../dom.js'
import { tree } from '../tree.js'
import { switchesOf } from './switches.js'
import { clock, count, plural, span } from '../words.js'

const SHOWN_ROWS = 8

export async function open (context, main) {
  const { live, people } = context
  const switches = switchesOf(context)
  const numbers = el('div', { class: 'numbers' })
  const picture = el('div', { class: 'scroll treebox', tabindex: '0', role: 'region', 'aria-label': 'Block tree, newest on the right' })
  const legend = el('p', { class: 'legend' })
  const steps = el('div', {})
  const news = el('div', {})
  const charts = el('div', { class: 'charts' })
  const others = el('div', {})
  main.append(el('h1', {}, 'Chain'), numbers,
    section('Block tree', picture, legend), switches.section ?? '',
    el('div', { class: 'two' }, section('Becoming final', steps), section('What happened', news)),
    section('How fast', charts), others)
  const parts = { numbers, picture, legend, steps, news, charts, others }
  const update = (what) => render(live, people, parts, what)
  update('blocks')
  update('news')
  update('others')
  return { update, close: switches.close, shown: () => { picture.scrollLeft = picture.scrollWidth } }
}

function render (live, people, parts, what) {
  if (!live.status) return replace(parts.numbers, el('p', { class: 'quiet' }, 'The node does not answer.'))
  if (['status', 'mempool', 'blocks'].includes(what)) replace(parts.numbers, numbersOf(live))
  if (what === 'news' || what === 'blocks') replace(parts.news, newsOf(live))
  if (what === 'others' || what === 'blocks') replace(parts.others, othersOf(live, people))
  if (what !== 'blocks') return
  const { picture } = parts
  const isAtEnd = picture.scrollLeft + picture.clientWidth > picture.scrollWidth - 80
  replace(picture, tree(live.shown(), people))
  if (isAtEnd) picture.scrollLeft = picture.scrollWidth
  replace(parts.legend, legendOf(live, people))
  replace(parts.steps, stepsOf(live, people))
  replace(parts.charts, chartsOf(live))
}

function numbersOf ({ status, finalized, mempool }) {
  const waiting = mempool?.waiting ?? status.mempool
  const stalled = status.stalled ? 'finality stands still' : `${plural(Math.max(0, status.height - finalized.height), 'block')} to come`
  return [
    ['Height', count(status.height), `slot ${count(status.slot)}`],
    ['Final', count(finalized.height), stalled],
    ['Transactions', count(status.transactions), `${count(waiting)} waiting`],
    ['Peers', count(status.peers), status.syncing ? 'catching up' : status.validator ? (status.silent ? 'a silent validator' : 'a validator') : 'an observer'],
    ['Reorgs', count(status.reorgs), 'since it started']
  ].map(([name, value, note]) => el('div', { class: 'number' }, el('span', { class: 'name' }, name), el('strong', {}, value), el('span', { class: 'quiet' }, note)))
}

function legendOf (live, people) {
  const shown = new Set([...live.blocks.values()].map(({ proposer }) => proposer))
  return [
    ...people.validators.filter((did) => shown.has(did)).slice(0, 12).map((did) => el('span', { class: 'key' }, people.link(did))),
    el('span', { class: 'quiet' }, 'A block fills up as votes come in; the band under the blocks is what is final. +2: two slots without a block.')
  ]
}

// From the votes that were counted here, the newest block first.
function stepsOf (live, people) {
  const rows = (live.follower?.votes?.rows ?? []).slice(0, SHOWN_ROWS)
  return table('Votes for the newest blocks, counted by this page', [
    ['Height', ({ height, id }) => link(['block', id], count(height)), 'right'],
    ['By', ({ height }) => people.link(didOf(unhex(live.follower.at(height).header.signer)))],
    ['Prevotes', (row) => bar(row, 'prevotes')],
    ['Precommits', (row) => bar(row, 'precommits')],
    ['State', ({ height }) => height <= live.follower.final ? '✓ final' : isReached(rows.find((row) => row.height === height), 'prevotes') ? 'prevoted' : 'waits']
  ], rows, { empty: 'No votes were counted yet.', key: ({ id }) => `step-${id}` })
}

const isReached = (row, kind) => row[kind].every((weight, at) => weight >= row.electorate.sets[at].threshold)

// One bar for each set whose threshold is needed.
function bar (row, kind) {
  return row[kind].map((weight, at) => {
    const { total, threshold } = row.electorate.sets[at]
    return el('span', { class: `votes ${weight >= threshold ? 'enough' : ''}` },
      el('span', { class: 'track', 'aria-hidden': 'true' },
        el('span', { class: 'done', style: { width: `${100 * weight / total}%` } }),
        el('span', { class: 'needed', style: { left: `${100 * threshold / total}%` } })),
      el('span', { class: 'small' }, `${count(weight)}, needs ${count(threshold)}`))
  })
}

function newsOf ({ news }) {
  if (!news.length) return el('p', { class: 'quiet' }, 'No reorg and no contradiction since this page was opened.')
  return el('ul', { class: 'news' }, news.slice(0, 12).map(({ at, text, kind }) => el('li', { class: kind }, el('time', {}, clock(at)), text)))
}

function chartsOf ({ samples, status }) {
  const each = status.slot_ms ? (value) => `${count(Math.round(value * 1_000 / status.slot_ms))}/s` : count
  if (samples.transactions.length < 2) return el('p', { class: 'quiet' }, 'The charts begin with the next two blocks.')
  return [
    line('Slot to final', samples.lag, span),
    line('Transactions a block', samples.transactions, (value) => `${count(value)}, ${each(value)}`),
    line('Slot to here', samples.delay, span)
  ]
}

function othersOf ({ others, findings, status }) {
  if (!others.length) return []
  return section('Nodes', table('The nodes that this page asks', [
    ['Node', ({ url }) => url || 'this one'],
    ['Height', ({ status }) => count(status?.height), 'right'],
    ['Final', ({ status }) => count(status?.finalized_height), 'right'],
    ['Peers', ({ status }) => count(status?.peers), 'right'],
    ['Compared', ({ url, isAway }) => !url ? '' : isAway ? 'does not answer' : findings.of(`other nodes: ${url}`)?.detail ?? 'not compared yet']
  ], [{ url: '', status }, ...others], { isQuiet: true }))
}
