// Who is who: names that the node knows, and a letter and a colour for each validator.

import { el, placeOf } from './dom.js'
import { shortDid } from './words.js'

const COLOURS = 12
const MOST = 10_000 // names and validators, whatever a node makes up

export class People {
  constructor () {
    this.names = new Map()
    this.validators = []
  }

  learn (names) {
    for (const [did, name] of Object.entries(names)) if (typeof name === 'string' && (this.names.size < MOST || this.names.has(did))) this.names.set(did, name)
  }

  // Those seen first keep their letters while the page is open.
  seat (dids) {
    for (const did of dids) if (did && this.validators.length < MOST && !this.validators.includes(did)) this.validators.push(did)
  }

  letter (did) {
    const at = this.validators.indexOf(did)
    return at < 0 ? '?' : String.fromCharCode(65 + at % 26) + (at < 26 ? '' : Math.floor(at / 26))
  }

  colour (did) {
    const at = this.validators.indexOf(did)
    return at < 0 ? 'vx' : `v${at % COLOURS}`
  }

  text (did) {
    return this.names.get(did) ?? shortDid(did)
  }

  // A sentence of the node, with links in the place of the keys in it.
  named (text) {
    return text.split(/(did:key:z[1-9A-HJ-NP-Za-km-z]+)/).map((part, at) => at % 2 ? this.link(part) : part)
  }

  // A member or an office, or a validator with its mark.
  link (did) {
    if (!did) return '–'
    const isValidator = this.validators.includes(did)
    const mark = isValidator && el('span', { class: `mark ${this.colour(did)}`, 'aria-hidden': 'true' }, this.letter(did))
    return el('a', { href: placeOf(['who', did]), title: did, class: 'who' }, mark, this.text(did))
  }
}
