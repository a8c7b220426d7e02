// The lab: what is chosen, what is seen, and the experiment in the worker.

import { el, replace, section, table } from '/explorer/dom.js'
import { People } from '/explorer/people.js'
import { tree } from '/explorer/tree.js'
import { count, plural } from '/explorer/words.js'

const SHOWN_BLOCKS = 80
const PACES = [['slow', 1_500], ['a slot in half a second', 500], ['as fast as it goes', 0]]
const $ = (id) => document.getElementById(id)

class Engine {
  constructor () {
    this.worker = new Worker('/lab/worker.js', { type: 'module' })
    this.waiting = new Map()
    this.number = 0
    this.worker.addEventListener('message', ({ data }) => this.take(data))
    this.worker.addEventListener('error', (event) => fail(event.message))
  }

  ask (question) {
    this.worker.postMessage({ number: ++this.number, text: JSON.stringify(question) })
    return new Promise((resolve, reject) => this.waiting.set(this.number, { resolve, reject }))
  }

  take ({ number, text, error }) {
    const { resolve, reject } = this.waiting.get(number)
    this.waiting.delete(number)
    if (error) reject(new Error(error))
    else resolve(JSON.parse(text))
  }
}

const engine = new Engine()
const parts = {}
let people = new People()
let blocks = new Map()
let events = []
let now = null
let seen = 0 // which node's view is shown
let isRunning = false

function fail (text) {
  $('state').textContent = 'It does not run'
  $('state').className = 'trust wrong'
  $('alarm').hidden = false
  $('alarm').textContent = text.split('\n').filter(Boolean).pop()
}

// ------------------------------------------------------------------------------------------------- what is chosen

function choose (name, label, options, chosen) {
  const select = el('select', { id: name, name }, options.map(([value, text]) => el('option', { value, selected: value === chosen }, text)))
  return el('div', {}, el('label', { for: name }, label), select)
}

function form ({ attacks, tolerated }) {
  const sizes = Object.keys(tolerated).map((size) => [size, `${size}, which tolerate ${tolerated[size]}`])
  const kinds = Object.entries(attacks).map(([name, what]) => [name, `${name}: ${what}`])
  return el('form', { onsubmit: (event) => { event.preventDefault(); begin() } },
    el('div', { class: 'choices' },
      choose('validators', 'Validators', sizes, '4'),
      choose('villains', 'Villains', [0, 1, 2, 3, 4, 5].map((n) => [String(n), String(n)]), '1'),
      choose('attack', 'What villains do', kinds, 'equivocates'),
      el('div', {}, el('label', { for: 'seed' }, 'Seed'), el('input', { id: 'seed', type: 'number', min: '0', max: '999999', value: '3' })),
      choose('pace', 'Pace', PACES.map(([text], at) => [String(at), text]), '1')),
    el('div', { class: 'buttons' },
      el('button', { class: 'main', type: 'submit' }, 'Begin'),
      el('button', { type: 'button', id: 'pause', disabled: true, onclick: pause }, 'Pause'),
      el('button', { type: 'button', id: 'step', disabled: true, onclick: step }, 'One slot'),
      el('button', { type: 'button', id: 'halve', disabled: true, onclick: halve }, 'Cut the network in halves'),
      el('button', { type: 'button', id: 'heal', disabled: true, onclick: () => change({ do: 'heal' }) }, 'Heal')))
}

async function begin () {
  const [validators, villains] = [Number($('validators').value), Number($('villains').value)]
  if (villains >= validators) return say('At least one validator must be honest.')
  isRunning = false
  people = new People()
  blocks = new Map()
  events = []
  seen = 0
  $('alarm').hidden = true
  now = null
  take(await engine.ask({ do: 'begin', seed: Number($('seed').value), validators, villains, attack: $('attack').value }))
  seen = now.nodes.findIndex(({ villain }) => !villain)
  for (const name of ['pause', 'step', 'halve', 'heal']) $(name).disabled = false
  run()
}

function pause () {
  if (isRunning) isRunning = false
  else run()
}

async function run () {
  if (isRunning) return
  isRunning = true
  $('pause').textContent = 'Pause'
  while (isRunning) {
    const wanted = PACES[$('pace').value][1]
    await Promise.all([step(), new Promise((resolve) => setTimeout(resolve, wanted))])
  }
  $('pause').textContent = 'Go on'
}

async function step () {
  try {
    take(await engine.ask({ do: 'step' }))
  } catch (error) {
    isRunning = false
    fail(String(error))
  }
}

const change = async (question) => take(await engine.ask(question))

function halve () {
  const honest = now.nodes.filter(({ villain }) => !villain).map(({ name }) => name)
  change({ do: 'cut', names: honest.slice(0, Math.max(1, honest.length >> 1)) })
}

// ------------------------------------------------------------------------------------------------- what is seen

function say (text, kind) {
  events.unshift({ slot: now?.slot ?? 0, text, kind })
}

function take (told) {
  tellChanges(now, told)
  now = told
  people.seat(told.nodes.map(({ validator }) => validator))
  people.learn(Object.fromEntries(told.nodes.map(({ validator, name }) => [validator, name])))
  for (const block of told.blocks) blocks.set(block.id, block)
  show()
}

function tellChanges (before, after) {
  now = after
  const known = new Set(before?.named ?? [])
  for (const name of after.named.filter((name) => !known.has(name))) say(`${name} is named: it signed two statements that contradict each other.`, 'evidence')
  if (after.jailed > (before?.jailed ?? 0)) say(`${plural(after.jailed, 'validator')} jailed on the chain.`)
  if (after.forked && !before?.forked) say('Two honest nodes called different blocks final.', 'evidence')
  const [was, is] = [before, after].map((each) => each?.nodes.some(({ apart }) => apart))
  if (is && !was) say('The network is cut in halves.')
  if (was && !is) say('The cut is healed.')
  if (after.violation && !before?.violation) say(after.violation, 'evidence')
}

function show () {
  const viewer = now.nodes[seen]
  const finals = now.nodes.filter(({ villain }) => !villain).map(({ final_height: height }) => height)
  const [lowest, highest] = [Math.min(...finals), Math.max(...finals)]
  $('state').textContent = now.forked ? 'Finality fell' : 'Finality holds'
  $('state').className = now.forked ? 'trust wrong' : 'trust checked'
  $('alarm').hidden = !now.forked
  $('alarm').textContent = now.forked ? `Two blocks of one height are final. Named by what they signed: ${now.named.join(', ') || 'nobody yet'}.` : ''
  replace(parts.numbers, [
    ['Slot', count(now.slot), `${plural(blocks.size, 'block')} were made`],
    ['Final', lowest === highest ? count(lowest) : `${count(lowest)}–${count(highest)}`, 'at honest nodes'],
    ['Named', count(now.named.length), now.named.join(', ') || 'nobody'],
    ['Jailed', count(now.jailed), 'on the chain']
  ].map(([name, value, note]) => el('div', { class: 'number' }, el('span', { class: 'name' }, name), el('strong', {}, value), el('span', { class: 'quiet' }, note))))
  replace(parts.picture, tree(viewOf(viewer), people))
  parts.picture.scrollLeft = parts.picture.scrollWidth
  replace(parts.nodes, nodes())
  replace(parts.news, events.length ? el('ul', { class: 'news' }, events.slice(0, 12).map(({ slot, text, kind }) => el('li', { class: kind }, el('time', {}, `slot ${count(slot)}`), text))) : el('p', { class: 'quiet' }, 'Nothing yet.'))
}

// The newest blocks, as one node sees them.
function viewOf (viewer) {
  const main = pathTo(viewer.head)
  const final = pathTo(viewer.final)
  const newest = [...blocks.values()].sort((one, other) => one.slot - other.slot).slice(-SHOWN_BLOCKS)
  return newest.map((block) => ({ ...block, main: main.has(block.id), final: final.has(block.id), votes: viewer.votes[block.id] }))
}

function pathTo (id) {
  const found = new Set()
  for (let at = id; blocks.has(at); at = blocks.get(at).parent) found.add(at)
  return found
}

function nodes () {
  return table('Nodes', [
    ['Node', (node) => [people.link(node.validator), node.villain && el('span', { class: 'villain small' }, 'villain')]],
    ['Head', ({ height }) => count(height), 'right'],
    ['Final', (node) => `${count(node.final_height)} ${node.final.slice(0, 8)}`, 'right'],
    ['Side', ({ apart, villain }) => villain ? 'both' : apart ? 'left' : now.nodes.some((each) => each.apart) ? 'right' : '–'],
    ['View', (node) => node.villain ? '' : el('button', { type: 'button', disabled: node === now.nodes[seen], onclick: () => { seen = now.nodes.findIndex(({ name }) => name === node.name); show() } }, `See as ${node.name}`)]
  ], now.nodes, { isQuiet: true })
}

async function open () {
  const main = $('main')
  const chosen = await engine.ask({ do: 'choices' })
  parts.numbers = el('div', { class: 'numbers' })
  parts.picture = el('div', { class: 'scroll treebox', tabindex: '0', role: 'region', 'aria-label': 'Block tree, newest on the right' })
  parts.nodes = el('div', {})
  parts.news = el('div', { role: 'log', 'aria-label': 'What happened' })
  main.append(section('Experiment', form(chosen)), parts.numbers, section('Block tree', parts.picture),
    el('div', { class: 'two' }, section('Where nodes stand', parts.nodes), section('What happened', parts.news)))
  $('state').textContent = 'Ready'
}

open().catch((error) => fail(String(error)))
window.lab = { now: () => now } // for tests
