// What a search found, where it is not exactly one thing.

import { byName } from '../search.js'
import { el } from '../dom.js'

export async function open ({ people }, main, sought = '') {
  const found = byName(people, sought)
  main.append(el('h1', {}, 'Search'))
  if (found.length) main.append(el('ul', {}, found.slice(0, 100).map((did) => el('li', {}, people.link(did)))))
  else main.append(el('p', {}, `Nothing is called, numbered or keyed “${sought}” here. A name that this node knows, a did:key, a height, or the id of a block (its first eight digits do) or of a transaction can be found.`))
}
