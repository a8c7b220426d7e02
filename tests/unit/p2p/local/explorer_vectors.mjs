// Checks the test vectors of the wire with what the explorer checks by:  node explorer_vectors.mjs FOLDER

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as blocks from '../../../../p2p/local/explorer/check/blocks.js'
import { didOf, hex, keyOf, unhex, utf8 } from '../../../../p2p/local/explorer/check/bytes.js'
import { decode, encode } from '../../../../p2p/local/explorer/check/codec.js'
import { encodePolicy, firstElectorate, genesisId, policyDigest, readPolicy } from '../../../../p2p/local/explorer/check/genesis.js'
import { isShown } from '../../../../p2p/local/explorer/check/proof.js'
import { sha256 } from '../../../../p2p/local/explorer/check/sha256.js'
import { Signatures } from '../../../../p2p/local/explorer/check/signatures.js'
import { judge, Votes } from '../../../../p2p/local/explorer/check/votes.js'

const read = (name) => JSON.parse(readFileSync(join(process.argv[2], name + '.json'), 'utf8'))
const [genesis, network] = [read('genesis'), read('network')]

// FIPS 180-4, and a length at each edge of a block
assert.equal(hex(sha256(utf8('abc'))), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
for (const length of [0, 55, 56, 63, 64, 119, 120, 1_000]) {
  const wanted = await crypto.subtle.digest('SHA-256', new Uint8Array(length))
  assert.equal(hex(sha256(new Uint8Array(length))), hex(new Uint8Array(wanted)))
}

const { numbers, arrays, long, refused } = read('encoding')
for (const { value, bytes } of numbers) {
  assert.equal(hex(encode([BigInt(value)])), bytes)
  assert.equal(String(decode(unhex(bytes))[0]), value)
}
for (const { bytes } of arrays) assert.equal(hex(encode(decode(unhex(bytes)))), bytes)
assert.equal(hex(encode([new Uint8Array(256).fill(7)])), long.bytes)
for (const { what, bytes } of refused) assert.throws(() => decode(unhex(bytes)), undefined, what)

assert.equal(hex(encodePolicy(genesis.policy)), network.policy)
assert.equal(hex(policyDigest(unhex(network.policy))), network.policy_digest)
assert.equal(hex(encodePolicy(readPolicy(decode(unhex(network.policy))))), network.policy)
assert.equal(genesisId(genesis), network.chain_id)
for (const did of network.dids) assert.equal(didOf(keyOf(did)), did)

const chain = read('chain')
const signatures = new Signatures()
let votes = Votes.start(firstElectorate(genesis), genesis.batch, 0)
for (const { raw, id, mhp, final_after_it: final } of chain.blocks) {
  const block = blocks.readBlock(unhex(raw), network.chain_id, signatures)
  votes = judge(block, votes, network.chain_id, signatures)
  assert.deepEqual([block.header.id, block.header.mhp, votes.final], [id, mhp, final])
}
await signatures.settle()
assert.ok(signatures.count > chain.blocks.length)

for (const { root, key, value, path } of read('state').paths) {
  const shown = value === null ? null : unhex(value)
  assert.ok(isShown(unhex(root), unhex(key), shown, unhex(path)))
  assert.ok(!isShown(unhex(root), unhex(key), shown === null ? utf8('x') : null, unhex(path)))
}

// Every place of every small tree has a path to its root, and to no other.
const ids = Array.from({ length: 9 }, (_, at) => sha256(Uint8Array.of(at)))
const pathOf = (list, at) => {
  if (list.length === 1) return []
  let split = 1
  while (2 * split < list.length) split *= 2
  const [left, right] = [list.slice(0, split), list.slice(split)]
  return at < split ? [...pathOf(left, at), blocks.merkleRoot(right)] : [...pathOf(right, at - split), blocks.merkleRoot(left)]
}
for (let count = 1; count <= ids.length; count++) {
  const root = blocks.merkleRoot(ids.slice(0, count))
  for (let at = 0; at < count; at++) {
    const path = pathOf(ids.slice(0, count), at)
    assert.ok(blocks.isInBlock(root, ids[at], at, count, path))
    assert.ok(!blocks.isInBlock(root, sha256(), at, count, path))
  }
}
console.log('agreed')
