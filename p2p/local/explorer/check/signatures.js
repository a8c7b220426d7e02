// Ed25519 by the browser's own WebCrypto.  It answers later, so signatures are collected while all else is checked, and
// settled together at the end.

import { check, hex } from './bytes.js'
import { Pace } from './pace.js'

const ALGORITHM = { name: 'Ed25519' }
const MAX_REMEMBERED = 20_000

const keys = new Map() // imported, by their hexadecimal
const known = new Set() // what was found right already: a follower meets the same signature again

export class Signatures {
  constructor () {
    this.waiting = []
    this.count = 0
  }

  add (key, message, signature, what) {
    check(key.length === 32 && signature.length === 64, what)
    this.count += 1
    const name = hex(key) + hex(signature) + hex(message)
    if (!known.has(name)) this.waiting.push({ key, message, signature, what, name })
  }

  // Raises Wrong for the first that is not right.
  async settle () {
    const waiting = this.waiting.splice(0)
    const [asked, pace] = [[], new Pace()]
    for (const each of waiting) {
      asked.push(isSigned(each))
      await pace.step()
    }
    const right = await Promise.all(asked)
    waiting.forEach(({ what }, at) => check(right[at], what))
    if (known.size > MAX_REMEMBERED) known.clear()
    for (const { name } of waiting) known.add(name)
  }
}

async function isSigned ({ key, message, signature }) {
  const subtle = globalThis.crypto.subtle
  const name = hex(key)
  try {
    if (!keys.has(name)) keys.set(name, await subtle.importKey('raw', key, ALGORITHM, false, ['verify']))
    return await subtle.verify(ALGORITHM, keys.get(name), signature, message)
  } catch (error) {
    if (error.name === 'NotSupportedError') throw error
    return false // no point of the curve
  }
}

// Why nothing that is signed can be checked here, or "" where it can.
export async function lacking () {
  const subtle = globalThis.crypto?.subtle
  if (!subtle) return 'This page was not loaded from this machine or over https, and a browser gives cryptography to no other.'
  try {
    await subtle.importKey('raw', new Uint8Array([0x58, ...Array(31).fill(0x66)]), ALGORITHM, false, ['verify'])
  } catch {
    return 'This browser has no Ed25519 in its WebCrypto; Chrome and Edge have it from 137, Firefox from 129, Safari from 17.'
  }
  return ''
}
