// Everything that can be checked of one node, and of one member there.

import { Wrong, check, hex, keyOf, unhex } from './bytes.js'
import { isInBlock, readHeader, readTransaction } from './blocks.js'
import { CHECKED, HEARD, WRONG } from './findings.js'
import { Signatures, lacking } from './signatures.js'
import { checkExplanation, differences } from './standing.js'
import { count } from '../words.js'

// Runs a check and notes how it went; what the network brings about is no finding.
export async function noting (findings, what, act) {
  try {
    const detail = await act()
    if (detail) findings.note(what, CHECKED, detail)
    return true
  } catch (error) {
    if (!(error instanceof Wrong || error instanceof TypeError || error instanceof RangeError)) throw error
    findings.note(what, WRONG, error instanceof Wrong ? error.message : 'it cannot be read')
    return false
  }
}

export const GENESIS = 'genesis'
export const CHAIN = 'headers and votes'
export const FINALITY = 'finality'
export const OTHERS = 'other nodes'

// Starts a follower; false where nothing of this node can be believed.
export async function begin (follower, findings) {
  const why = await lacking()
  if (why) {
    findings.note(GENESIS, HEARD, `${why} Nothing is checked: all of it is only what this node says.`)
    return false
  }
  const hasGenesis = await noting(findings, GENESIS, async () => {
    await follower.start()
    return `Chain ${follower.chainId.slice(0, 16)}… follows from the genesis: its validators, numbers and policy.`
  })
  return hasGenesis && await follow(follower, findings)
}

export async function follow (follower, findings) {
  return noting(findings, CHAIN, async () => {
    await follower.advance()
    const { checked, votes, lowest } = follower
    return `${count(checked)} signatures, each leader and each vote from height ${count(Math.min(lowest, votes.height))} to ${count(votes.height)}.`
  })
}

// The node's own claim of what is final, once its headers up to there were read.
export async function claim (follower, findings, height, id) {
  return noting(findings, FINALITY, () => {
    if (height) follower.checkClaim(height, id)
    return `Height ${count(follower.final)} is final: more than two thirds of the weight precommitted it.`
  })
}

// A member: the proof, whether what is told of her agrees with it, and whether the explanation adds up.
// `told` is her document with an explanation.  Where the state went on since the proof, nothing is held against the node.
export async function member (follower, findings, did, told) {
  const what = `member ${did}`
  let proof = null
  const isRight = await noting(findings, what, async () => {
    checkExplanation(told, await policyOf(follower))
    proof = await follower.proofOf(hex(keyOf(did)))
    check(proof.member, 'in the state that is proven nobody has this key')
    const found = differences(told, proof)
    if (!found.length) return `Score ${count(told.score)} and tier ${told.tier} are in the state of final height ${count(proof.header.height)}, and the lines add up.`
    check(hasMoved(follower, proof.header, told.as_of_height), inWords(found))
    findings.note(what, HEARD, `Not final yet: ${inWords(found)}`)
    return ''
  })
  return isRight ? proof : null
}

const inWords = (found) => found.map(([name, told, proven]) => `${name} is said to be ${told}, and is proven to be ${proven}`).join('; ')

// Whether the state at a height is another than the proven one, as far as the checked headers say.
function hasMoved (follower, proven, height) {
  if (height <= proven.height) return height < proven.height
  const header = follower.at(height)?.header
  return !header || header.stateRoot !== proven.stateRoot
}

async function policyOf (follower) {
  const { policy } = await follower.api.json('/policy')
  return policy
}

// A transaction's place in a block whose header was signed: `told` is the answer of /transactions/ID.
export async function transaction (follower, findings, told, id) {
  return noting(findings, `transaction ${id}`, async () => {
    const signatures = new Signatures()
    const read = readTransaction(unhex(told.raw), follower.chainId, signatures)
    await signatures.settle()
    check(read.id === id, 'it is another transaction')
    if (told.block === null) return 'Signed by whom it names; in no block yet.'
    const header = follower.at(told.height)?.header
    if (header) check(header.id === told.block || told.height > follower.final, 'it is said to be in another block than the chain has')
    const known = await readBlockHeader(follower, told)
    check(isInBlock(unhex(known.transactionRoot), unhex(id), told.index, told.count, told.path.map(unhex)), 'its path does not lead to the root of its block')
    return header ? `Signed by whom it names, and number ${count(told.index + 1)} of ${count(told.count)} in block ${count(told.height)}.` : `Signed, and in a block of height ${count(told.height)} that its leader signed; older than what was counted here.`
  })
}

async function readBlockHeader (follower, told) {
  const signatures = new Signatures()
  const header = readHeader(unhex(told.header), follower.chainId, signatures)
  await signatures.settle()
  check(header.id === told.block, 'its block has another id')
  return header
}

// Whether another node calls the same blocks final: `api` asks it.
export async function compare (follower, findings, api, name) {
  return noting(findings, `${OTHERS}: ${name}`, async () => {
    const { genesis, network } = await api.json('/head')
    check(genesis === undefined || genesis === follower.chainId, `it is of another chain, ${network}`)
    const { finalized_height: theirs, finalized_id: id } = await api.json('/status')
    const height = Math.min(theirs, follower.final)
    const ours = follower.finals.get(height)
    if (!ours) return `No final height that both know yet: ${count(theirs)} there, ${count(follower.final)} here.`
    const told = theirs === height ? id : (await api.json(`/blocks/${height}`)).id
    check(told === ours, `at height ${count(height)} it has ${told.slice(0, 16)}…, and here ${ours.slice(0, 16)}… is final`)
    return `The same block is final at height ${count(height)}.`
  })
}
