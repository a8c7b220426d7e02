// SHA-256 and Ed25519, by the Web Cryptography API: in browsers and in Node.js.

import { concat } from './bytes.js'

const { subtle } = globalThis.crypto

export async function sha256 (...parts) {
  return new Uint8Array(await subtle.digest('SHA-256', concat(...parts)))
}

export async function isSigned (key, message, signature) {
  try {
    const imported = await subtle.importKey('raw', key, 'Ed25519', false, ['verify'])
    return await subtle.verify('Ed25519', imported, signature, message)
  } catch {
    return false // not a key
  }
}
