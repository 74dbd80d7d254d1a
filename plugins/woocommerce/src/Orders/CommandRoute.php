<?php

/**
 * POST shopbridge/v1/commands: verifies, remembers, carries out, answers what is true afterwards (protocol.md section 4).
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Events\Collector;
use Shopbridge\Status\Log;

class CommandRoute
{
    private const COME_AGAIN = 5;

    /** @var CommandVerifier */
    private $verifier;

    /** @var CommandMemory */
    private $memory;

    /** @var CommandList */
    private $commands;

    /** @var BridgeWrites */
    private $writes;

    /** @var Collector */
    private $collector;

    public function __construct(CommandVerifier $verifier, CommandMemory $memory, CommandList $commands, BridgeWrites $writes, Collector $collector)
    {
        $this->verifier = $verifier;
        $this->memory = $memory;
        $this->commands = $commands;
        $this->writes = $writes;
        $this->collector = $collector;
    }

    public function register(): void
    {
        register_rest_route(
            'shopbridge/v1',
            '/commands',
            array(
                'methods' => 'POST',
                'callback' => array($this, 'handle'),
                'permission_callback' => array($this, 'isSigned'),
            )
        );
    }

    /**
     * @return true|\WP_Error
     */
    public function isSigned(\WP_REST_Request $request)
    {
        $signed = $this->verifier->accepts(
            (string) $request->get_header('webhook-id'),
            (string) $request->get_header('webhook-timestamp'),
            (string) $request->get_header('webhook-signature'),
            (string) $request->get_body(),
            time()
        );
        if ($signed) {
            return true;
        }
        $facts = array('status' => 401, 'server_time' => time());
        return new \WP_Error('signature.invalid', 'The signature, the id or the time of this message is wrong.', $facts);
    }

    public function handle(\WP_REST_Request $request): \WP_REST_Response
    {
        $command = json_decode((string) $request->get_body(), true, 32);
        $id = (string) $request->get_header('webhook-id');
        if (!is_array($command) || ($command['id'] ?? null) !== $id || !is_string($command['type'] ?? null)) {
            return self::refused($id, new Refusal('data.invalid', 'The id of the message and the id in it must be the same.', 'id'));
        }
        $data = $command['data'] ?? array();
        if (!is_array($data)) {
            return self::refused($id, new Refusal('data.invalid', 'data is not an object.', 'data'));
        }
        return $this->carryOut($id, $command['type'], $data);
    }

    /**
     * @param array<string, mixed> $data
     */
    private function carryOut(string $id, string $type, array $data): \WP_REST_Response
    {
        $before = $this->collector->remember();
        try {
            $known = $this->memory->begin($id, $type, time());
            if ($known !== null) {
                return self::answer(200, array('id' => $id, 'result' => 'already', 'data' => (object) $known));
            }
            $done = $this->run($type, $data);
            $this->memory->keep($id, $done->data);
            return self::answer(200, array('id' => $id, 'result' => $done->already ? 'already' : 'done', 'data' => (object) $done->data));
        } catch (Busy $busy) {
            return self::later($id, $busy->getMessage());
        } catch (Refusal $refusal) {
            $this->memory->forget($id);
            return self::refused($id, $refusal);
        } catch (\Throwable $fault) {
            $this->memory->forget($id);
            $this->collector->forget($before);
            Log::error($type . ' ' . $id . ' failed: ' . $fault->getMessage() . ' at ' . basename($fault->getFile()) . ':' . $fault->getLine());
            $error = array('code' => 'shop.failed', 'message' => 'The shop could not do this: ' . $fault->getMessage());
            return self::answer(500, array('id' => $id, 'error' => $error));
        }
    }

    /**
     * @param array<string, mixed> $data
     */
    private function run(string $type, array $data): Done
    {
        $command = $this->commands->find($type);
        $key = $data['key'] ?? '';
        $this->writes->begin(is_string($key) ? $key : '');
        try {
            return $command->run(new CommandData($data));
        } finally {
            $this->writes->end();
        }
    }

    private static function refused(string $id, Refusal $refusal): \WP_REST_Response
    {
        $error = array('code' => $refusal->reason, 'message' => $refusal->getMessage());
        if ($refusal->field !== '') {
            $error['field'] = $refusal->field;
        }
        return self::answer(422, array('id' => $id, 'result' => 'refused', 'error' => $error));
    }

    private static function later(string $id, string $message): \WP_REST_Response
    {
        $answer = self::answer(503, array('id' => $id, 'error' => array('code' => 'shop.busy', 'message' => $message)));
        $answer->header('Retry-After', (string) self::COME_AGAIN);
        return $answer;
    }

    /**
     * @param array<string, mixed> $body
     */
    private static function answer(int $status, array $body): \WP_REST_Response
    {
        $answer = new \WP_REST_Response($body, $status);
        $answer->header('Cache-Control', 'no-store');
        return $answer;
    }
}
