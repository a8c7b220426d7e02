// Where a search leads: a height, an id, a key or a name.

import { placeOf } from './dom.js'
import { didOf, keyOf, unhex } from './check/bytes.js'

export async function find (live, sought) {
  const { node, people } = live
  if (/^\d{1,15}$/.test(sought)) return await node.find(`/blocks/${sought}`) ? placeOf(['block', sought]) : null
  const did = didIn(sought)
  if (did) return placeOf(['who', did])
  const named = byName(people, sought)
  if (named.length === 1) return placeOf(['who', named[0]])
  const hex = sought.toLowerCase()
  if (!/^[0-9a-f]{8,64}$/.test(hex)) return null
  const block = await node.find(`/blocks/${hex}`)
  if (block) return placeOf(['block', block.id])
  if (hex.length < 64) return null
  const transaction = await node.find(`/transactions/${hex}`)
  if (transaction && transaction.state !== 'unknown') return placeOf(['tx', hex])
  return await node.find(`/members/${hex}`) ? placeOf(['who', didOf(unhex(hex))]) : null
}

function didIn (text) {
  const did = text.startsWith('z6Mk') ? `did:key:${text}` : text
  try {
    keyOf(did)
    return did
  } catch {
    return null
  }
}

export function byName (people, sought) {
  const wanted = sought.toLowerCase()
  const found = [...people.names].filter(([, name]) => name.toLowerCase().includes(wanted))
  const exact = found.filter(([, name]) => name.toLowerCase() === wanted)
  return (exact.length === 1 ? exact : found).map(([did]) => did)
}
