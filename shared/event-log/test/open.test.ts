import { describe, expect, test } from 'vitest'
import { kafkaOptions, readKafkaUrl } from '../src/open.ts'

const config = {
  KAFKA_REPLICAS: 3,
  KAFKA_TLS: false,
  KAFKA_CA_FILE: null,
  KAFKA_SASL: 'none' as const,
  KAFKA_USER: null,
  KAFKA_PASSWORD: null,
}

describe('the address of a log on Kafka', () => {
  test.each([
    ['kafka://a:9092', { brokers: ['a:9092'] }],
    ['kafka://a:9092,10.0.0.2:9093/city.', { brokers: ['a:9092', '10.0.0.2:9093'], prefix: 'city.' }],
    ['kafka://[::1]:9092', { brokers: ['[::1]:9092'] }],
  ])('%s', (url, read) => {
    expect(readKafkaUrl(url)).toEqual(read)
  })

  test.each(['kafka://', 'kafka://a', 'kafka://user:secret@a:9092', 'kafka://a:9092?x=1', 'kafka://a:9092,b'])(
    '%s is none, and is not repeated',
    (url) => {
      expect(() => readKafkaUrl(url)).toThrow('kafka://host:port')
      expect(() => readKafkaUrl(url)).not.toThrow('secret')
    },
  )

  test('a sign-in needs name and password', () => {
    expect(() => kafkaOptions('kafka://a:9092', { ...config, KAFKA_SASL: 'plain' })).toThrow('KAFKA_USER')
    const whole = { ...config, KAFKA_SASL: 'scram-sha-512' as const, KAFKA_USER: 'me', KAFKA_PASSWORD: 'mine' }
    expect(kafkaOptions('kafka://a:9092', whole)).toEqual({
      brokers: ['a:9092'],
      replicas: 3,
      tls: null,
      sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'mine' },
    })
  })
})
