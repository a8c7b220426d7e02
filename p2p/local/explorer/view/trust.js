// What this page checked itself, what it only heard, and what does not fit.

import { el, facts, replace, section } from '../dom.js'
import { count } from '../words.js'

const TITLES = { wrong: 'Wrong', heard: 'Only heard', checked: 'Checked' }
const SIGNS = { wrong: '!', heard: '○', checked: '✓' }

export async function open ({ live }, main) {
  const [found, numbers] = [el('div', {}), el('div', {})]
  main.append(el('h1', {}, 'What was checked'),
    el('p', { class: 'lead' }, 'This page does not take the node’s word. It hashes the genesis, checks each header’s signature and leader, counts the votes, and follows each proof to a root that two thirds of the validators signed.'),
    found, section('How far', numbers), section('What is trusted all the same', el('ul', {}, [
      'This page itself came from the node: whoever runs a node that is not yours could have changed it. Serve it from your own node. Opened with ?chain= and the id of the chain as you know it, it takes no other chain.',
      ['Less than a third of the weight of each set of validators ever signed against the rules. What happens when more do can be tried: ', el('code', {}, '.uv/bin/uv run scripts/lab.py'), ' runs the same engine in a page, with villains.'],
      'That the transactions were valid: this page runs none of them. Those who checked them are the validators, who signed what follows.',
      'Lists, counts, names, charts, peers, the mempool and history are only heard. So is whatever happened before the height from which votes were counted.',
      'A node that tells the truth can still tell it late. Ask a second node: ?node=http://… compares what both call final.'
    ].map((text) => el('li', {}, text)))))
  const update = () => {
    const all = [...live.findings.found.values()]
    replace(found, ['wrong', 'heard', 'checked'].map((state) => {
      const these = all.filter((finding) => finding.state === state)
      return these.length > 0 && section(TITLES[state], el('ul', { class: 'findings' }, these.map(({ what, detail }) => el('li', { class: state }, el('strong', {}, `${SIGNS[state]} ${what}: `), detail))))
    }))
    const { follower } = live
    replace(numbers, follower ? facts([['Chain', el('code', {}, follower.chainId)], ['Counted up to', `height ${count(follower.votes.height)}`], ['Final by its votes', `height ${count(follower.final)}`], ['Signatures checked', count(follower.checked)]]) : el('p', { class: 'quiet' }, 'Nothing yet.'))
  }
  update()
  return { update: (what) => what === 'trust' && update() }
}
