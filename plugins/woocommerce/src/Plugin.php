<?php

/**
 * Plugs the parts together. Nothing is built before somebody needs it: most requests of a shop have nothing to report.
 */

declare(strict_types=1);

namespace Shopbridge;

use Shopbridge\Decisions\DecisionActions;
use Shopbridge\Decisions\DecisionsBridge;
use Shopbridge\Decisions\DecisionsPage;
use Shopbridge\Decisions\OrderLink;
use Shopbridge\Events\Collector;
use Shopbridge\Events\Manifest;
use Shopbridge\Events\OrderHooks;
use Shopbridge\Events\OrderSnapshot;
use Shopbridge\Events\ProductHooks;
use Shopbridge\Events\ProductSnapshot;
use Shopbridge\Events\Recorder;
use Shopbridge\Events\ShopFacts;
use Shopbridge\Events\ShopHooks;
use Shopbridge\Events\Snapshots;
use Shopbridge\Events\TrackingHooks;
use Shopbridge\Labels\LabelPanel;
use Shopbridge\Labels\Labels;
use Shopbridge\Labels\Unsupported;
use Shopbridge\Network\NetworkActions;
use Shopbridge\Network\NetworkBridge;
use Shopbridge\Network\NetworkPage;
use Shopbridge\Orders\BridgeWrites;
use Shopbridge\Orders\CommandList;
use Shopbridge\Orders\CommandMemory;
use Shopbridge\Orders\CommandRoute;
use Shopbridge\Orders\Commands;
use Shopbridge\Orders\CommandVerifier;
use Shopbridge\Orders\Mails;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\OrderBox;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\OrderWriter;
use Shopbridge\Orders\PackingSlip;
use Shopbridge\Orders\ProductImages;
use Shopbridge\Orders\RefundWriter;
use Shopbridge\Orders\Shelf;
use Shopbridge\Orders\Sweep;
use Shopbridge\Orders\Taxes;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\InlineTry;
use Shopbridge\Outbox\Lock;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Outbox\Schema;
use Shopbridge\Outbox\Sender;
use Shopbridge\Outbox\Transport;
use Shopbridge\Products\CategoryMapping;
use Shopbridge\Products\CsvColumns;
use Shopbridge\Products\ListEditing;
use Shopbridge\Products\NetworkCategories;
use Shopbridge\Products\ProductForm;
use Shopbridge\Products\ReleaseScreens;
use Shopbridge\Products\ReportAgain;
use Shopbridge\Settings\Choices;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Pairing;
use Shopbridge\Settings\Secrets;
use Shopbridge\Settings\SettingsActions;
use Shopbridge\Settings\SettingsPage;
use Shopbridge\Status\AdminNotice;
use Shopbridge\Status\BridgeStatus;
use Shopbridge\Status\Cli;
use Shopbridge\Status\Health;
use Shopbridge\Status\QueueCheck;
use Shopbridge\Status\StatusPanel;

final class Plugin
{
    public const VERSION = '0.1.0';

    /** @var self|null */
    private static $instance;

    /** @var string */
    private $file;

    /** @var array<string, object> */
    private $parts = array();

    private function __construct(string $file)
    {
        $this->file = $file;
    }

    public static function of(string $file): self
    {
        self::$instance = self::$instance ?? new self($file);
        return self::$instance;
    }

    public function start(): void
    {
        register_activation_hook($this->file, array(Schema::class, 'ensure'));
        register_deactivation_hook($this->file, array(Schedule::class, 'clear'));
        add_action('before_woocommerce_init', array($this, 'declareCompatibility'));
        if (did_action('woocommerce_loaded') > 0) {
            $this->listen();
        } else {
            add_action('woocommerce_loaded', array($this, 'listen'));
        }
    }

    public function declareCompatibility(): void
    {
        $features = '\Automattic\WooCommerce\Utilities\FeaturesUtil';
        if (class_exists($features)) {
            foreach (array('custom_order_tables', 'cart_checkout_blocks') as $feature) {
                $features::declare_compatibility($feature, $this->file, true);
            }
        }
    }

    public function listen(): void
    {
        add_action('init', array($this, 'translate'));
        add_action('rest_api_init', fn () => $this->commandRoute()->register());
        $this->mails()->register();
        $this->labels()->register();
        if ($this->connection()->exists()) {
            $this->listenToTheShop();
        }
        if (is_admin()) {
            $this->listenInAdmin();
        }
        if (defined('WP_CLI') && WP_CLI) {
            Schema::ensure();
            \WP_CLI::add_command('shopbridge', $this->cli());
        }
    }

    public function translate(): void
    {
        load_plugin_textdomain('shopbridge', false, basename(dirname($this->file)) . '/languages');
    }

    private function listenToTheShop(): void
    {
        $collector = $this->collector();
        $recorder = $this->recorder();
        (new OrderHooks($collector, $this->writes(), $this->orderMemory()))->register();
        (new ProductHooks($collector, $recorder))->register();
        (new TrackingHooks($collector))->register();
        (new ShopHooks($collector))->register();
        (new ProductImages())->register();
        (new ReportAgain($collector, $recorder, $this->outbox()))->register();
        (new CsvColumns())->register();
        $recorder->register();
        $this->schedule()->register();
        $this->sweep()->register();
    }

    private function listenInAdmin(): void
    {
        add_action('admin_init', array(Schema::class, 'ensure'), 5);
        (new SettingsPage($this->connection(), new Choices(), $this->panel()))->register();
        $sender = fn (): Sender => $this->sender();
        $schedule = $this->schedule();
        (new SettingsActions($this->pairing(), new Choices(), $this->outbox(), $this->breaker(), $schedule, $sender))->register();
        $slip = new PackingSlip($this->connection(), $this->transport());
        $slip->register();
        $labels = new LabelPanel($this->labels(), new Unsupported());
        (new OrderBox($this->parcels(), $labels, $slip, new OrderLink($this->connection())))->register();
        (new AdminNotice($this->connection(), $this->breaker()))->register();
        $this->listenForTheNetwork(new NetworkBridge($this->transport()));
        if ($this->connection()->exists()) {
            $this->listenForDecisions(new DecisionsBridge($this->transport()));
        }
    }

    private function listenForDecisions(DecisionsBridge $bridge): void
    {
        (new DecisionsPage($bridge))->register();
        (new DecisionActions($bridge))->register();
    }

    private function listenForTheNetwork(NetworkBridge $bridge): void
    {
        (new NetworkPage($this->connection(), $bridge))->register();
        if (!$this->connection()->exists()) {
            return;
        }
        $categories = new NetworkCategories(static fn (): Answer => $bridge->state(4));
        (new NetworkActions($bridge))->register();
        (new ProductForm($categories))->register();
        (new ListEditing())->register();
        (new CategoryMapping($categories))->register();
        (new ReleaseScreens())->register();
    }

    private function commandRoute(): CommandRoute
    {
        $verifier = new CommandVerifier(new Secrets());
        return new CommandRoute($verifier, new CommandMemory(), $this->commands(), $this->writes(), $this->collector());
    }

    private function commands(): CommandList
    {
        $once = new Once();
        $shelf = new Shelf(static fn (): string => (new Choices())->gtinSource());
        $mails = $this->mails();
        $memory = $this->orderMemory();
        $collector = $this->collector();
        $refunds = new RefundWriter($once, $mails);
        $writer = new OrderWriter($shelf, new Taxes());
        return new CommandList(
            array(
                'ping' => fn () => new Commands\Ping($this->outbox(), new ShopFacts()),
                'order.create' => fn () => new Commands\CreateOrder($once, $writer, $memory, $shelf, $mails),
                'order.status' => fn () => new Commands\ChangeStatus($shelf),
                'order.note' => fn () => new Commands\AddNote($shelf, $once, $collector),
                'order.tracking' => fn () => new Commands\AddTracking($shelf, $this->parcels()),
                'order.cancel' => fn () => new Commands\CancelOrder($shelf, $refunds, $memory),
                'order.refund' => fn () => new Commands\RefundOrder($shelf, $refunds),
                'order.stop_shipping' => fn () => new Commands\StopShipping($shelf, $this->parcels(), $mails),
                'order.label_sender' => fn () => new Commands\LabelSender($shelf, $collector),
                'order.timeline' => fn () => new Commands\Timeline($shelf, $collector),
                'product.upsert' => fn () => new Commands\UpsertProduct($once, $shelf, $this->outbox()),
                'product.release' => fn () => new Commands\ReleaseProducts(),
                'stock.set' => fn () => new Commands\SetStock($once, $this->outbox()),
                'events.resend' => fn () => new Commands\ResendEvents($this->outbox()),
                'secret.rotate' => fn () => new Commands\RotateSecrets(new Secrets()),
            )
        );
    }

    private function sender(): Sender
    {
        $products = new ProductSnapshot(new Choices(), $this->outbox());
        $orders = new OrderSnapshot($this->orderMemory(), $this->parcels(), $this->outbox());
        $snapshots = new Snapshots($orders, $products, new ShopFacts(), $this->manifest());
        return new Sender($this->connection(), $this->outbox(), $this->breaker(), new Lock(), $this->transport(), $snapshots, $this->health());
    }

    private function sweep(): Sweep
    {
        return new Sweep(
            $this->connection(),
            $this->outbox(),
            $this->manifest(),
            $this->orderMemory(),
            new CommandMemory(),
            $this->parcels(),
            $this->health()
        );
    }

    private function panel(): StatusPanel
    {
        $bridge = new BridgeStatus($this->transport());
        return new StatusPanel($this->connection(), $this->outbox(), $this->breaker(), $this->health(), $bridge, $this->queueCheck());
    }

    private function cli(): Cli
    {
        return new Cli(
            $this->connection(),
            $this->pairing(),
            $this->panel(),
            $this->queueCheck(),
            $this->outbox(),
            $this->breaker(),
            $this->schedule(),
            fn (): Sender => $this->sender()
        );
    }

    private function pairing(): Pairing
    {
        $secrets = new Secrets();
        return new Pairing($this->connection(), $secrets, $this->transport(), $this->outbox(), $this->breaker(), new ShopFacts());
    }

    private function schedule(): Schedule
    {
        return new Schedule($this->connection(), $this->outbox(), $this->breaker(), fn (): Sender => $this->sender());
    }

    private function queueCheck(): QueueCheck
    {
        return new QueueCheck($this->connection(), $this->outbox(), $this->breaker(), $this->health());
    }

    private function recorder(): Recorder
    {
        $inline = new InlineTry($this->outbox(), $this->breaker(), fn (): Sender => $this->sender());
        return new Recorder($this->collector(), $this->outbox(), $inline);
    }

    private function transport(): Transport
    {
        return new Transport($this->connection(), new Secrets());
    }

    private function manifest(): Manifest
    {
        return new Manifest($this->outbox());
    }

    private function orderMemory(): OrderMemory
    {
        return new OrderMemory($this->outbox());
    }

    private function connection(): Connection
    {
        return $this->shared(Connection::class, static fn (): Connection => new Connection());
    }

    private function collector(): Collector
    {
        return $this->shared(Collector::class, static fn (): Collector => new Collector());
    }

    private function writes(): BridgeWrites
    {
        return $this->shared(BridgeWrites::class, static fn (): BridgeWrites => new BridgeWrites());
    }

    private function mails(): Mails
    {
        return $this->shared(Mails::class, static fn (): Mails => new Mails());
    }

    private function outbox(): Outbox
    {
        return $this->shared(Outbox::class, static fn (): Outbox => new Outbox());
    }

    private function breaker(): Breaker
    {
        return $this->shared(Breaker::class, static fn (): Breaker => new Breaker());
    }

    private function health(): Health
    {
        return $this->shared(Health::class, static fn (): Health => new Health());
    }

    private function labels(): Labels
    {
        return $this->shared(Labels::class, static fn (): Labels => Labels::all());
    }

    private function parcels(): Parcels
    {
        return $this->shared(Parcels::class, static fn (): Parcels => Parcels::all());
    }

    /**
     * Made once for the request.
     *
     * @template T of object
     * @param class-string<T> $name
     * @param callable(): T $make
     * @return T
     */
    private function shared(string $name, callable $make): object
    {
        if (!isset($this->parts[$name])) {
            $this->parts[$name] = $make();
        }
        return $this->parts[$name];
    }
}
