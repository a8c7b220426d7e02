// The nodes of a testnet as a table, with what can be done to each.

import { beside, el, replace, section, table } from '../dom.js'
import { count } from '../words.js'

const REFRESH_MS = 1_000

// A section, or null where this page has no switches; `close` ends its questions.
export function switchesOf ({ live, people, isOpen }) {
  const { switches } = live
  if (!switches) return { section: null, close: () => {} }
  const [rows, said, lab] = [el('div', {}), el('p', { class: 'quiet', role: 'status' }), el('p', { class: 'quiet' })]
  const press = async (kind, { name }) => {
    try {
      said.textContent = `${await switches.turn(kind, name)}.`
    } catch (error) {
      said.textContent = error.message
    }
    await refresh()
  }
  const refresh = async () => {
    try {
      await switches.refresh()
    } catch (error) {
      said.textContent = error.message
    }
    if (!isOpen()) return
    replace(rows, nodeTable(switches.nodes, people, press))
    if (switches.lab && !lab.firstChild) lab.append('And with villains among the validators: ', beside(switches.lab, 'the lab'), '.')
  }
  refresh()
  const timer = setInterval(refresh, REFRESH_MS)
  return { section: section('Nodes of this testnet', rows, said, lab), close: () => clearInterval(timer) }
}

function nodeTable (nodes, people, press) {
  return table('Stop a node or cut it off, and see what the others do', [
    ['Node', ({ name, did }) => did ? people.link(did) : name],
    ['State', (node) => el('span', { class: `state ${node.live ? node.cut ? 'cut' : 'up' : 'down'}` }, stateOf(node))],
    ['Height', ({ height }) => count(height), 'right'],
    ['Final', ({ finalized_height: height }) => count(height), 'right whole'],
    ['Switches', (node) => buttons(node, press), 'right']
  ], nodes, { isQuiet: true, empty: 'testnet.py has not told yet.' })
}

function stateOf ({ live, cut, ended }) {
  if (live) return cut ? 'cut off' : 'runs'
  return ended ? ended.endsWith('(code 0)') ? 'stopped' : ended : 'starts'
}

function buttons (node, press) {
  const button = (kind, label) => el('button', { type: 'button', 'data-key': `${kind} ${node.name}`, 'aria-label': `${label} ${node.name}`, onclick: () => press(kind, node) }, label)
  if (!node.live) return button('start', 'Start')
  return [node.cut ? button('heal', 'Heal') : button('cut', 'Cut off'), ' ', button('stop', 'Stop')]
}
